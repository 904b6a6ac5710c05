"""Messages of the engine: problems, errors, notices and left-overs of a run, each with its stable code."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from bootstrap.engine.errors import HoldersUnread
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.codes import Code
from bootstrap.model.errors import (
    Interrupted,
    LeftOver,
    Problem,
    ProblemKind,
    ProviderFault,
    PullkeyError,
    StepFailed,
    UsageProblem,
)
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.pull import Probe, PullAttempt
from bootstrap.model.text import listed, one_line
from bootstrap.plugin.recorded_key import SECRETLESS
from bootstrap.plugin.step import EngineStep, Notice, StepRole
from bootstrap.registry import code_of, first_word, fix

# -- permissions ---------------------------------------------------------------------------------------------


def undo_permission_missing(permission: str, role: str) -> Notice:
    return Notice(
        f"This login lacks {permission}{f' ({role} has it)' if role else ''}, which only undoing takes: if "
        "the run fails, what it created is kept and listed."
    )


# -- the registry --------------------------------------------------------------------------------------------


def registry_unreachable(attempt: PullAttempt) -> Problem:
    then = (
        "If Akka can reach it and this machine cannot, --no-wait registers the credential without "
        "verifying it"
    )
    return Problem(
        ProblemKind.SETUP,
        f"The registry cannot be reached: {attempt.detail}",
        f"{fix(attempt)} {then}",
        step=EngineStep.HANDSHAKE,
        code=code_of(attempt),
    )


def registry_unreachable_for_now(attempt: PullAttempt) -> Notice:
    return Notice(f"Could not read how the registry authenticates pulls: {attempt.detail}")


def registry_refuses(attempt: PullAttempt) -> Problem:
    return Problem(
        ProblemKind.SETUP, first_word(attempt), fix(attempt), step=EngineStep.HANDSHAKE, code=code_of(attempt)
    )


def registered_without_verification(attempt: PullAttempt) -> Notice:
    return Notice(
        f"{first_word(attempt)}; the credential is registered without verification, because of --no-wait."
    )


def registered_though_public(public: str, *, rotation: bool) -> Notice:
    """The registry allows anonymous pulls, and `--anyway` was given, or it is a rotation."""
    then = "the one that it has is replaced" if rotation else "one is registered because of --anyway"
    return Notice(f"{public}, so Akka needs no credential; {then}.")


def asks_for_no_login(host: str) -> Problem:
    """Whether its repositories ask for one is known of a named image only."""
    return Problem(
        ProblemKind.QUESTION,
        f"{host} asks for no login, which does not show whether its images need one",
        "Pass --anyway to register the credential, or name an image of it: --image IMAGE",
        step=EngineStep.HANDSHAKE,
        code=Code.QUESTION,
    )


def image_not_found(probe: Probe, near: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"There is no image {probe.host}/{probe.image}",
        f"{near} Check its name and tag; or name none: the key is then verified without an image".lstrip(),
        step=EngineStep.HANDSHAKE,
        code=Code.IMAGE_NOT_FOUND,
    )


def repository_not_found(host: str, name: str, near: str) -> Problem:
    then = "Check --repository. If the image is yet to be pushed, --no-wait continues without checking"
    return Problem(
        ProblemKind.SETUP,
        f"{host} has no repository {name}",
        f"{near} {then}".lstrip(),
        step=StepRole.GRANT,
        code=Code.REPOSITORY_NOT_FOUND,
    )


def registry_unknown(held: HeldCredential, unusable: Sequence[UsageProblem]) -> UsageProblem:
    """No provider recognises a record. Its provider may be among those that cannot be used."""
    if held.link is None:
        what = f"No provider knows the registry {held.server!r} of Akka's {held.name}"
    else:
        what = f"No provider knows Akka's {held.name}, key {held.link.key_id} of {held.server}"
    return UsageProblem(
        what,
        fix=f"It may be of one that cannot be used: {'; '.join(one.what for one in unusable)}"
        if unusable
        else "Install the provider that created it; see: pullkey providers",
        code=Code.HOST_UNKNOWN,
    )


def recognised_twice(held: HeldCredential, providers: Sequence[str]) -> UsageProblem:
    return UsageProblem(
        f"{len(providers)} providers claim Akka's {held.name} of {held.server}: {listed(providers)}",
        fix="Uninstall one of them; see: pullkey providers",
        code=Code.HOST_AMBIGUOUS,
    )


# -- a provider's faults -------------------------------------------------------------------------------------

_REPORT = "This is a fault of the provider: update it, or report this to its authors"


def key_could_not_be_found(provider: str, why: str) -> Problem:
    return Problem(
        ProblemKind.SETUP,
        f"The provider {provider} creates keys that no later run could find again: {why}",
        _REPORT,
        step=StepRole.KEY,
        code=Code.PROVIDER_CONTRACT,
    )


def key_not_found_again(provider: str, why: str) -> ProviderFault:
    return ProviderFault(
        f"No later run could find the key again that the provider {provider} has created: {why}", fix=_REPORT
    )


def no_credential_reported(provider: str) -> ProviderFault:
    return ProviderFault(
        f"The provider {provider} has created a key and set no credential for Akka", fix=_REPORT
    )


def another_key_reported(provider: str, reported: str, key_id: str) -> ProviderFault:
    return ProviderFault(
        f"The provider {provider} reports key {one_line(reported)}, and its credential is of "
        f"key {one_line(key_id)}",
        fix=_REPORT,
    )


# -- Akka's record before a run ------------------------------------------------------------------------------


def another_credential_for_server(other: HeldCredential, server: str, scope_options: str) -> Notice:
    return Notice(
        f"Akka has another credential for {server} already, {other.name} (user {other.username}). "
        "Which of the two it pulls with is not documented; if that one is not needed: pullkey "
        f"offboard {shlex.quote(other.name)}{scope_options}"
    )


def record_without_secret(name: str) -> Notice:
    return Notice(f"{SECRETLESS}, {name}: it is registered again.")


def record_of_another_registry(held: HeldCredential, registry: str) -> Problem:
    return Problem(
        ProblemKind.QUESTION,
        f"Akka's credential {held.name} is for another registry, {registry}",
        "Pass another --secret-name, or --replace to overwrite it",
        step=EngineStep.HANDOFF,
        code=Code.CREDENTIAL_OTHER_REGISTRY,
    )


def record_will_be_overwritten(held: HeldCredential, registry: str) -> Notice:
    then = "; the resources that pullkey created for the old one are removed then" if held.link else ""
    return Notice(
        f"Akka's credential {held.name} for {registry} will be replaced, because of --replace{then}."
    )


def external_record_will_be_replaced(held: HeldCredential) -> Notice:
    whose = f"the credential of {held.username or 'nobody'}"
    return Notice(
        f"Akka's {held.name} ({whose}) will be replaced once the new key pulls; its cloud "
        "resources were not created by pullkey and are kept."
    )


def record_of_another_identity_will_be_replaced(name: str, link: KeyRef) -> Notice:
    return Notice(
        f"Akka's {name} (key {link.key_id} of {link.name}@{link.domain}) "
        "will be replaced once the new key pulls; the resources that pullkey created "
        "for it are removed then."
    )


def record_will_be_replaced(name: str, link: KeyRef) -> Notice:
    return Notice(
        f"Akka's {name} (key {link.key_id}) will be replaced once the new key pulls; "
        "its key is kept until the next `pullkey rotate`."
    )


def credential_not_found(name: str, where: str, nearest: str) -> UsageProblem:
    return UsageProblem(
        f"Akka has no credential named {name!r} in {where}", fix=nearest, code=Code.CREDENTIAL_NOT_FOUND
    )


# -- a run ---------------------------------------------------------------------------------------------------


def record_changed_since_plan(secret_name: str) -> Problem:
    return _plan_stale(f"Akka's {secret_name} has changed since it was planned")


def steps_not_planned(titles: Sequence[str]) -> Problem:
    return _plan_stale(f"This was not planned: {'; '.join(titles)}")


def _plan_stale(what: str) -> Problem:
    return Problem(
        ProblemKind.SETUP, what, "Something has changed meanwhile: plan again", code=Code.PLAN_STALE
    )


def timed_out_before(title: str) -> StepFailed:
    return StepFailed(
        f"--timeout was over before this step: {title}",
        fix="Run it again with a longer --timeout.",
        code=Code.TIMEOUT,
    )


def held_as(project: str, name: str) -> str:
    """A credential; the project is "" for the current one."""
    return f"{name} of Akka project {project}" if project else f"Akka's {name}"


def may_go_back(project: str, name: str) -> str:
    """A credential that has replaced a key, in whose grace period the key is."""
    return f"{held_as(project, name)}, which may still go back to it,"


def stays_valid(key_id: str, holder: str) -> str:
    return f"Key {key_id} stays valid: {holder} has it too"


class PerhapsHeld(str):
    """A credential that may have a key, in words: its project or region could not be seen now."""

    __slots__ = ()


def may_be_held(unread: str) -> PerhapsHeld:
    """A credential with the same key may be in a project that could not be read."""
    return PerhapsHeld(f"perhaps a credential of {unread}, which could not be read,")


def may_be_in_regions(name: str, regions: str) -> PerhapsHeld:
    """The credential itself, in regions that show something else."""
    return PerhapsHeld(f"perhaps Akka's {name} in {regions}")


def replaced_key_would_be_overwritten(key_id: str, holder: str, command: str) -> HoldersUnread:
    """There is no room for a third key, and a replaced one may be in use."""
    return HoldersUnread(
        f"Key {key_id}, which was replaced before, is in the way of the next one, and {holder} has it too",
        fix=f"Run it again in a while: {command}",
    )


def kept_for_another_run(title: str, key_id: str) -> str:
    return f"{title}: kept, since another run has created key {key_id}, which needs it."


def kept_since_use_is_unknown(title: str) -> str:
    return f"{title}: kept, since neither Akka nor the cloud shows whether another key needs it"


def kept_for_key_left_over(title: str) -> str:
    return f"{title}: kept, since a key that needs it may be left over"


def replaced_key_kept(key_id: str, command: str) -> LeftOver:
    """The run failed after Akka may have received the new key."""
    return LeftOver(f"key {key_id}, which Akka held before, is kept until Akka shows the new one", command)


def key_of_another_region(key_id: str) -> str:
    return f"key {key_id}, which another region of Akka's shows or has shown"


# -- a key that is retired -----------------------------------------------------------------------------------


def old_pulls_get_time(seconds: float) -> str:
    return f"Pulls that began with the old key get {seconds:.0f} s to end."


def key_not_retired(key_id: str, error: PullkeyError, command: str) -> LeftOver:
    return LeftOver(f"key {key_id}, which Akka no longer holds ({error.what})", command)


def stopped_before_retirement(key_id: str, command: str) -> LeftOver:
    """The run was interrupted after Akka was seen to have the new key."""
    what = f"key {key_id}, which Akka no longer holds: the run was interrupted before the key was retired"
    return LeftOver(what, command)


def perhaps_needed_elsewhere(key_id: str, holder: str, command: str) -> LeftOver:
    """A replaced key that another credential may have; the next run tries again."""
    return LeftOver(f"key {key_id}, which stays valid: {holder} has it too", command)


def replaced_key_is_enabled(key_id: str, command: str) -> str:
    """A replaced key that is not disabled after its grace period. Nothing shows why."""
    return (
        f"Key {key_id}, which was replaced, is enabled after its grace period. It is kept until the next "
        f"rotation: `rotate --restore` may have enabled it. If nothing needs it: {command}"
    )


def lost_key_kept(key_id: str, error: PullkeyError, command: str) -> str:
    """A key of a run that did not end could not be deleted."""
    return f"Key {key_id}, of a run that did not end, could not be deleted ({error.what}): {command}"


def no_key_to_restore() -> PullkeyError:
    return PullkeyError(
        "Akka's record names no replaced key that still exists",
        fix="There is nothing to restore.",
        code=Code.NOTHING_TO_RESTORE,
    )


def key_to_restore_was_deleted(key_id: str, rotate: str) -> PullkeyError:
    """`rotate` is the command that replaces the key that Akka holds."""
    return PullkeyError(
        f"Key {key_id} was deleted and cannot be restored",
        fix=f"To create a new key: {rotate}",
        code=Code.NOTHING_TO_RESTORE,
    )


def key_never_disabled(key_id: str) -> str:
    return f"Key {key_id} was never disabled, and stays valid until a `pullkey rotate` deletes it."


def key_restored(link: KeyRef) -> str:
    return (
        f"Key {link.replaces} is enabled again until the next rotation. "
        f"Akka continues with key {link.key_id}."
    )


# -- a credential that is removed ----------------------------------------------------------------------------


def offboarding_interrupted(command: str) -> Interrupted:
    return Interrupted("Interrupted; some resources were not removed", fix=f"To continue: {command}")


def cloud_resources_left_alone(detail: str) -> StepFailed:
    """Akka's side could not be removed."""
    return StepFailed(
        f"{detail}, so its cloud resources were left alone",
        fix="Run it again in a while.",
        code=Code.STEP_FAILED,
    )


def unrecorded_key(key: KeyFacts, identity: str, command: str) -> str:
    """A key that no record of Akka's names; it may be in use."""
    when = f", created {key.created:%Y-%m-%d %H:%M} UTC," if key.created else ""
    return (
        f"Key {key.key_id} of {identity}{when} is in no record that Akka shows here: a run that did "
        "not end may have left "
        f"it. If no pullkey is at work elsewhere and the key is unused, delete it: {command}"
    )


# -- what is left of a credential that Akka does not list ----------------------------------------------------


def secret_left_over(name: str, removal: str) -> LeftOver:
    """Akka's secret of a credential that it does not list, and the command that removes it."""
    return LeftOver(f"Akka's secret {name}", removal)


def key_left_over(key: KeyFacts, identity: str, command: str) -> LeftOver:
    """A key of a removed credential's identity."""
    return LeftOver(f"key {key.key_id} of {identity}, which is in no record that Akka shows here", command)


def remains_unseen(what: str, error: PullkeyError) -> str:
    return f"Whether {what} is left could not be seen: {error.what}."


def resources_of_replaced(held: HeldCredential, command: str) -> LeftOver:
    """What a record that was replaced used, while it is not removed yet."""
    return LeftOver(f"the cloud resources of {held.name} as it was before, {held.email}", command)


# -- recovery ------------------------------------------------------------------------------------------------


def key_may_have_been_given(key_id: str, *, accepted: bool, two_at_most: bool) -> str:
    """A key of a lost run that Akka was given, or may have been given.

    Args:
        key_id: of the key.
        accepted: whether Akka accepted it.
        two_at_most: whether the provider allows two keys, so that a further rotation finds no room.
    """
    given = "was given" if accepted else "may have been given"
    what = f"key {key_id}, which Akka {given}; Akka shows neither it nor a newer key that works"
    if two_at_most and not accepted:
        what += "; if Akka still shows the previous key after some minutes, it did not receive this one"
    return what


def replaced_key_may_be_held(key_id: str) -> str:
    return f"key {key_id}, which Akka held before and may still hold"


def key_may_be_elsewhere(key_id: str, unread: str) -> str:
    """A key that a credential may have in a project that cannot be read now."""
    return f"key {key_id}, which {unread} may have too: it could not be read"


def cloud_resources_of_replaced(held: HeldCredential, error: PullkeyError) -> LeftOver:
    who = f"{held.name} ({held.username}, {held.email})"
    return LeftOver(f"cloud resources of the replaced credential {who}: {error.what}", "")


def syslog_address_invalid(address: str) -> UsageProblem:
    return UsageProblem(
        f"--audit: {address!r} is not a valid address of syslog",
        fix="Pass syslog: for the local daemon, syslog:/PATH/TO/SOCKET, or syslog:HOST:PORT. For a file of "
        "this name, put ./ in front of it.",
        code=Code.OUTPUT_FILE,
    )


def syslog_unreachable(address: str, why: str) -> UsageProblem:
    return UsageProblem(
        f"--audit: {address} cannot be reached: {why}",
        fix="Start the daemon, or pass the address of another one.",
        code=Code.OUTPUT_FILE,
    )
