"""A registry as a puller meets it: the Docker Registry v2 token exchange, done with the credential that Akka
is to have.

`trust` says where the password may go, `client` bounds what is read, `exchange` does one exchange, and
`verification` as many as it takes to be sure.
"""

from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.registry.challenge import Challenge
from bootstrap.registry.client import SECONDS
from bootstrap.registry.confidential import Confidential
from bootstrap.registry.exchange import (
    exchange,
    fetch_challenge,
    missing_repositories,
    nearest_image,
    open_to_all,
)
from bootstrap.registry.messages import code_of, failure, first_word, fix
from bootstrap.registry.trust import same_owner
from bootstrap.registry.verification import BROUGHT, Patience, patient_challenge, prove, try_once

__all__ = [
    "BROUGHT",
    "SECONDS",
    "Challenge",
    "Confidential",
    "Patience",
    "Probe",
    "PullAttempt",
    "Verdict",
    "code_of",
    "exchange",
    "failure",
    "fetch_challenge",
    "first_word",
    "fix",
    "missing_repositories",
    "nearest_image",
    "open_to_all",
    "patient_challenge",
    "prove",
    "same_owner",
    "try_once",
]
