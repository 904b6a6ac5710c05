"""What this provider tells its users of a registry's token, its scope map and its passwords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bootstrap.model.codes import Code
from bootstrap.model.errors import NotShown, Problem, ProblemKind, StepFailed
from bootstrap.plugin.step import Notice, StepRole

if TYPE_CHECKING:
    from bootstrap.plugin.errors import ApiError

_NO_TOKENS = (
    "Ask the owner of that policy for an exception, or use a service principal: leave --auth-kind out."
)
_USE_ANOTHER_NAME = "pass another --app-name, for a token of its own"


def token_not_shown(token: str) -> StepFailed:
    return StepFailed(
        f"Azure does not show the token {token}, so which of its passwords are in use is not known",
        fix="Run it again in a while.",
        code=Code.CLOUD_LAG,
    )


def slot_taken(slot: str, token: str) -> StepFailed:
    return StepFailed(
        f"Another program has just generated {slot} of the token {token}",
        fix="Run it again, to see what is free then.",
        code=Code.CONCURRENT_CHANGE,
    )


def token_of_password_not_shown(token: str, fix: str) -> StepFailed:
    return StepFailed(
        f"Azure does not show the token {token}, of which a password has just been generated",
        fix=fix,
        code=Code.CLOUD_LAG,
    )


def recorded_token_not_shown(token: str) -> NotShown:
    return NotShown(
        f"Azure does not show the token {token}, of which Akka's "
        "record names a password that was generated minutes ago"
    )


def tokens_forbidden(error: ApiError) -> StepFailed:
    return StepFailed(
        f"A policy forbids tokens of registries ({error.summary})",
        fix=_NO_TOKENS,
        code=Code.KEYS_FORBIDDEN,
    )


def waiting_for_token(token: str, seconds: float) -> str:
    return (
        f"Azure does not show the token {token}, which Akka's record names, "
        f"yet. It is new; waiting for up to {seconds:.0f} s."
    )


def registry_in_abac_mode(registry: str) -> Notice:
    return Notice(
        f"{registry} is in ABAC mode; Microsoft does not say whether tokens pull "
        "there. The handshake will show it."
    )


def token_name_taken(which: str, name: str, registry: str) -> Problem:
    return Problem(
        ProblemKind.QUESTION,
        f"There is {which} {name} in {registry} that pullkey did not create",
        "Pass another --app-name, so that pullkey creates its own",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_NAME_TAKEN,
    )


def scope_map_allows_more(scope_map: str, actions: Sequence[str]) -> Notice:
    return Notice(
        f"The scope map {scope_map} allows more than to pull these repositories: {', '.join(actions)}."
    )


def token_scope_unknown(token: str, *, deleted: bool) -> Problem:
    what = "was deleted" if deleted else "has no scope map that lets it pull"
    return Problem(
        ProblemKind.SETUP,
        f"The token {token} {what}, so what it was for is not known any more",
        "Onboard again: pullkey onboard acr --auth-kind token --repository NAME,NAME",
        step=StepRole.GRANT,
        code=Code.SCOPE_UNKNOWN,
    )


def token_disabled(token: str, registry_options: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The token {token} is disabled",
        f"Find out why; then: az acr token update --name {token} {registry_options} --status enabled",
        step=StepRole.IDENTITY,
        code=Code.IDENTITY_DISABLED,
    )


def both_passwords_of_akka(token: str) -> Problem:
    return Problem(
        ProblemKind.QUESTION,
        f"Akka uses both passwords of the token {token}",
        _USE_ANOTHER_NAME.capitalize(),
        step=StepRole.KEY,
        code=Code.TOKEN_PASSWORDS_IN_USE,
    )


def both_passwords_taken(token: str, passwords: str, commands: Sequence[str]) -> Problem:
    """`commands` remove the passwords that no record of Akka's names."""
    removals = " or ".join(f"`{command}`" for command in commands)
    return Problem(
        ProblemKind.QUESTION,
        f"Both passwords of the token {token} are there ({passwords}), and one may be in use elsewhere",
        f"If it is unused: {removals}. Else {_USE_ANOTHER_NAME}",
        step=StepRole.KEY,
        code=Code.TOKEN_PASSWORDS_IN_USE,
    )


# -- why a pull is refused -----------------------------------------------------------------------------------

SHOWN_IN_PLACE = "Azure shows token, password and scope map in place, so they are still spreading."


def shown_deleted(name: str) -> str:
    return f"Azure no longer shows the token {name}: it was deleted outside of pullkey."


def shown_disabled(name: str) -> str:
    return f"Azure shows the token {name} as disabled."


def shown_without_password(key_id: str, name: str) -> str:
    return f"Azure no longer shows {key_id} of {name}: it was removed outside of pullkey."


def shown_without_repositories(scope_map: str) -> str:
    return f"Azure no longer shows these repositories in the scope map {scope_map}."
