"""The errors, problems and notices about the targets of a file, each error with its code.

The faults of a file are in `messages_yaml`, `messages_file` and `messages_policy`, each with its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.codes import Code
from bootstrap.model.errors import ExitCode, Problem, ProblemKind, PullkeyError, StepFailed, UsageProblem
from bootstrap.model.key_facts import KeyLimit
from bootstrap.model.text import count_of
from bootstrap.plugin.step import StepRole

_SAVE_PLAN = "pullkey plan -f FILE --save PLAN"
_PLAN_FIX = f"Make one: {_SAVE_PLAN}"

# -- a file of registries and its targets --------------------------------------------------------------------


def registries_unreadable(name: str, reason: str | None) -> UsageProblem:
    return UsageProblem(
        f"{name} cannot be read: {reason}",
        fix="Name a file of registries; `pullkey import` writes one.",
        code=Code.FILE_UNREADABLE,
    )


def policy_unreadable(path: object, reason: str | None) -> UsageProblem:
    return UsageProblem(
        f"the policy {path} cannot be read: {reason}",
        fix="Name a file with `version: 1` and `policy:`.",
        code=Code.FILE_UNREADABLE,
    )


def target_unknown(file: str, name: str, near: Sequence[str]) -> UsageProblem:
    """`near` are names of targets that are close to `name`, the closest first."""
    return UsageProblem(
        f"{file} has no target {name!r}",
        fix=f"Did you mean {near[0]}?" if near else "See: pullkey list -f FILE",
        code=Code.TARGET_UNKNOWN,
    )


def target_ambiguous(file: str, name: str, targets: Sequence[str]) -> UsageProblem:
    """A name fits several targets."""
    return UsageProblem(
        f"{name!r} is the name of {len(targets)} targets of {file}",
        fix=f"Name one: {', '.join(targets[:8])}",
        code=Code.TARGET_UNKNOWN,
    )


def shard_invalid(where: str, text: str) -> UsageProblem:
    """`where` is the option or the variables that set it."""
    return UsageProblem(
        f"{where}: {text!r} is not a valid part of a file", fix="Write it as I/N, from 1/N to N/N."
    )


def shard_count_missing(index: str, count: str) -> UsageProblem:
    """The variable `index` is set without the variable `count`."""
    return UsageProblem(
        f"{index} is set and {count} is not, so it is not known which part of the file is this machine's",
        fix=f"Set {count} to the Job's number of completions, or pass --shard 1/1 for all.",
        code=Code.SETTING,
    )


def shard_index_invalid(index: str, value: str) -> UsageProblem:
    return UsageProblem(f"{index} is {value[:40]!r}, which is not a number", code=Code.SETTING)


def same_secret(secret_name: str, project: str, lines: Sequence[int]) -> Problem:
    """Other targets have the same Akka secret: `lines` are theirs. `project` is that of `AkkaScope.label`."""
    where = " and ".join(map(str, lines))
    return Problem(
        ProblemKind.SETUP,
        f"The target{'s' * (len(lines) > 1)} in line{'s' * (len(lines) > 1)} {where} of the file "
        f"{'have' if len(lines) > 1 else 'has'} the same Akka secret, {secret_name} of {project}",
        "Remove one of them, or set another secret-name",
        code=Code.FILE_INVALID,
    )


# -- saved plans ---------------------------------------------------------------------------------------------


def plan_unreadable(path: object, reason: str | None) -> UsageProblem:
    return UsageProblem(f"{path} cannot be read: {reason}", fix=_PLAN_FIX, code=Code.FILE_UNREADABLE)


def plan_not_json(path: object) -> UsageProblem:
    return UsageProblem(
        f"{path} is not a plan of pullkey's: it is not JSON", fix=_PLAN_FIX, code=Code.PLAN_FILE
    )


def not_a_plan(path: object) -> UsageProblem:
    return UsageProblem(f"{path} is not a plan of pullkey's", fix=_PLAN_FIX, code=Code.PLAN_FILE)


def plan_of_other_version(path: object) -> UsageProblem:
    return UsageProblem(f"{path} is a plan of another version of pullkey", fix=_PLAN_FIX, code=Code.PLAN_FILE)


def plan_of_another_part(path: object, part: str, here: str) -> UsageProblem:
    """It was saved for all of the file (`part` is ""), or for another part than this machine's."""
    return UsageProblem(
        f"{path} is a plan of {f'part {part}' if part else 'a whole file'}, and PULLKEY_SHARD or "
        f"JOB_COMPLETION_INDEX says that this machine does part {here}",
        fix="Plan and apply on each machine, or apply the plan without that variable",
        code=Code.PLAN_FILE,
    )


def plan_edited(path: object) -> UsageProblem:
    """Its digest does not match its content."""
    return UsageProblem(
        f"{path} was edited or not written completely since it was saved; nothing was changed",
        fix=f"A plan is applied as saved. Change the file of registries, and plan again: {_SAVE_PLAN}",
        code=Code.PLAN_FILE,
    )


def plan_incomplete(path: object) -> UsageProblem:
    return UsageProblem(f"{path} is not a complete plan of pullkey's", fix=_PLAN_FIX, code=Code.PLAN_FILE)


class PlanStale(UsageProblem):
    """The state has changed since it was planned."""

    code = Code.PLAN_STALE
    exit_code = ExitCode.REFUSED


def plan_breaks_policy(path: object) -> PlanStale:
    return PlanStale(
        f"{path} does not observe the policy any more, so nothing was changed",
        fix=f"Fix the file of registries, and plan again: {_SAVE_PLAN}",
    )


def plan_moved_on(path: object, moved: int, targets: int) -> PlanStale:
    """`moved` of the `targets` of a saved plan are no longer as they were planned."""
    return PlanStale(
        f"{moved} of {targets} targets are no longer as {path} says, so nothing was changed",
        fix=f"Plan again: {_SAVE_PLAN}",
    )


def record_changed_since_plan(secret_name: str) -> PlanStale:
    from bootstrap.engine import messages as engine  # late: a file is checked without the library of HTTP

    problem = engine.record_changed_since_plan(secret_name)
    return PlanStale(problem.what, fix=problem.fix)


# -- secrets -------------------------------------------------------------------------------------------------


def command_not_split(field: str, reason: str) -> UsageProblem:
    """The command of a `command:` source is not valid shell words."""
    return UsageProblem(
        f"{field}: the command cannot be split into words ({reason})", code=Code.SECRET_SOURCE
    )


def command_empty(field: str) -> UsageProblem:
    return UsageProblem(f"{field}: the command is empty", code=Code.SECRET_SOURCE)


def source_unusable(field: str, source: str, why: str) -> UsageProblem:
    """`source` is shown, so of a command it is the program alone."""
    return UsageProblem(
        f"{field}: {source} {why}",
        fix="Look at what `pullkey` is started with, and at the source in the file.",
        code=Code.SECRET_SOURCE,
    )


def no_source(what: str, line: int, fields: str, sources: str) -> UsageProblem:
    """A run needs the secret `what`, and the file names no source of it in any of `fields`."""
    return UsageProblem(
        f"{what} is needed, and the file names no source of it",
        fix=f"Name it in line {line}, as {fields}: {sources}",
        code=Code.SECRET_SOURCE,
    )


def source_problem(what: str, line: int, field: str, sources: str) -> Problem:
    """`what` is why the source of a target's secret, its field in `line`, cannot be used."""
    return Problem(
        ProblemKind.SETUP,
        what,
        f"Supply it, or name another source in line {line}: {field}: {sources}",
        step=StepRole.KEY,
        code=Code.SECRET_SOURCE,
    )


def no_source_problem(fields: Sequence[str], line: int, sources: str) -> Problem:
    """The target in `line` needs a user-supplied secret, and has none of the `fields` for its source."""
    names = " or ".join(fields)
    return Problem(
        ProblemKind.SETUP,
        f"The file names no source of the {names}",
        f"Add it to the target in line {line}, as {names}: {sources}",
        step=StepRole.KEY,
        code=Code.SECRET_SOURCE,
    )


# -- key limits ----------------------------------------------------------------------------------------------


def no_room_for_key(limit: KeyLimit) -> str:
    """Without its first letter in upper case, as a detail of a result."""
    return f"there is no room for another key: {limit.whose} can have {limit.at_most} keys"


def no_slot(limit: KeyLimit, keys: int) -> str:
    """Why one of several targets gets no new key: `keys` is how many the identity has."""
    room = limit.at_most - keys
    what = f"No slot for another key: {limit.whose} has {keys} keys, and can have {limit.at_most} keys"
    if room > 0:
        what += f", so there is room for {room} more, which {'goes' if room == 1 else 'go'} to others"
    return what


def no_slot_problem(what: str, limit: KeyLimit) -> Problem:
    return Problem(
        ProblemKind.LIMIT,
        what,
        f"Give this target another {limit.another}",
        step=StepRole.KEY,
        code=Code.KEY_LIMIT,
    )


def little_room(limit: KeyLimit, targets: int) -> str:
    """The targets of one identity cannot all be rotated in one run."""
    return (
        f"{targets} targets use {limit.whose}, which can have {limit.at_most} keys: "
        "they cannot all be rotated at once, as each then has two. Targets without a free slot are "
        f"postponed; else give some of them another {limit.another}"
    )


# -- runs ----------------------------------------------------------------------------------------------------


def not_tried(what: str, target: str) -> StepFailed:
    """A target that was not begun, because what it shares with others failed."""
    return StepFailed(
        f"Not tried: {what}",
        fix=f"It shares this with others. To try it alone: --only {target}",
        code=Code.NOT_TRIED,
    )


def not_managed(name: str) -> PullkeyError:
    """A credential that is to be removed was not created by pullkey."""
    return PullkeyError(
        f"Akka's {name} was not created by pullkey, so it is not removed",
        fix="Remove it by hand: akka docker remove-credentials",
        code=Code.CREDENTIAL_NOT_MANAGED,
    )


def removed_with_others(others: int) -> str:
    """`others` is how many targets of the same identity are removed too."""
    return (
        f"{count_of(others, 'other target')} of the same identity "
        f"{'is' if others == 1 else 'are'} removed too: what is kept for their keys only is removed with the "
        "last of them"
    )
