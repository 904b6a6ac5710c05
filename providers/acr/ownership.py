"""What a login may change of an application by owning it.

`Application.ReadWrite.OwnedBy` covers only the applications that the login owns; a user without a directory
role changes only those, too.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from bootstrap.model.errors import StepFailed
from bootstrap.plugin.errors import refused
from providers.acr import messages_application as messages
from providers.acr import token_claims as claims
from providers.acr.errors import REQUEST_DENIED

if TYPE_CHECKING:
    from bootstrap.plugin.errors import ApiError
    from providers.acr.application_facts import ApplicationFacts


def add_owner_command(application: str, owner: str) -> str:
    """Makes a user or a service principal an owner; `application` is its id, as Bash."""
    return f"az ad app owner add --id {application} --owner-object-id {shlex.quote(owner)}"


def change_refused(session: ApplicationFacts, error: ApiError, doing: str) -> StepFailed:
    """Describe a change of an existing application that was refused, as `errors.refused`."""
    token, known = session.cloud.graph_claims, session.known
    owner = str(token.get("oid") or "")
    if error.code != REQUEST_DENIED or known is None or not owner or not claims.needs_ownership(token):
        return refused(error, doing)
    command = add_owner_command(known.app_id, owner)
    by_user = not claims.is_application(token)
    return messages.not_an_owner(error, doing, command, user=by_user, own=session.attempt.created_new)
