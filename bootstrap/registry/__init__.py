"""Verifies a credential as a puller would: the Docker Registry v2 token exchange and a manifest read.

`trust` decides where the password may be sent, `client` bounds what is read, `first_answer` reads which login
the registry asks for, `exchange` does one exchange, `verification` repeats it until the result is certain,
and `nearest_names` suggests what was meant.
"""

from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.registry.challenge import Challenge
from bootstrap.registry.client import SECONDS
from bootstrap.registry.confidential import Confidential
from bootstrap.registry.exchange import exchange, open_to_all
from bootstrap.registry.first_answer import fetch_challenge
from bootstrap.registry.messages import code_of, failure, first_word, fix
from bootstrap.registry.nearest_names import missing_repositories, nearest_image
from bootstrap.registry.trust import same_owner
from bootstrap.registry.verification import (
    FOR_SUPPLIED_PASSWORD,
    Patience,
    patient_challenge,
    try_once,
    verify_pull,
)

__all__ = [
    "FOR_SUPPLIED_PASSWORD",
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
    "same_owner",
    "try_once",
    "verify_pull",
]
