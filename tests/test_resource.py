"""One object's lifecycle, against a cloud that lags, loses answers and refuses: what is created is undone,
and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from bootstrap.model import clock
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError, StepFailed
from bootstrap.plugin.attempt import Attempt
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.deletion import delete_until_gone
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.resource import Resource
from bootstrap.plugin.session import Session
from bootstrap.plugin.step import (
    Disposition,
    Done,
    Intent,
    Removal,
    Script,
    State,
    StepRole,
    StepStatus,
    StillThere,
    UsedByOthers,
)
from providers.docker_hub.errors import HubApiError
from providers.docker_hub.steps import CreatedToken
from providers.gitlab.deploy_token import CreatedDeployToken
from providers.gitlab.errors import GitlabApiError
from providers.harbor.errors import HarborApiError
from providers.harbor.robot import RobotAccount
from tests.harness.virtual_time import of

MISSING, FORBIDDEN, LOST = (ApiError(status, "scripted") for status in (404, 403, 503))


@dataclass
class Thing:
    run: str = "ours"
    number: int = 1
    good: bool = True


@dataclass
class Cloud:
    """What each next read and deletion is answered; after that, what is true."""

    thing: Thing | None = None
    reads: list[Thing | ApiError | None] = field(default_factory=list)
    deletions: list[ApiError | None] = field(default_factory=list)
    deleted: int = 0

    async def read(self) -> Thing | None:
        answer = self.reads.pop(0) if self.reads else self.thing
        if isinstance(answer, ApiError):
            raise answer
        return answer

    async def delete(self) -> None:
        answer = self.deletions.pop(0) if self.deletions else None
        if answer is None and self.thing is None:
            raise MISSING
        if answer is None or answer is LOST:
            self.thing, self.deleted = None, self.deleted + 1
        if answer is not None:
            raise answer


class Robot(Resource[Thing]):
    name = StepRole.IDENTITY
    title = "Create robot r"
    noun = "robot r"

    def __init__(self, cloud: Cloud, session: Any) -> None:
        super().__init__(session)
        self.cloud = cloud
        self.against = ""

    async def read(self) -> Thing | None:
        return await self.cloud.read()

    def judge(self, shown: Thing) -> StepStatus:
        return StepStatus(State.DONE, "exists") if shown.good else StepStatus(State.MISSING, "it is disabled")

    async def do(self) -> Done:
        return Done("", {})

    async def delete(self, intent: Intent) -> None:
        del intent
        await self.cloud.delete()

    def delete_command(self) -> str:
        return "cloud robots delete r"

    async def is_of_run(self, shown: Thing, intent: Intent) -> bool:
        return bool(shown.run == intent["run"])

    def is_same(self, shown: Thing) -> bool:
        return shown.number == 1

    async def contradiction(self) -> str:
        return self.against

    async def removal_of(self, shown: Thing) -> Removal:
        return self.to_remove() if shown.run == "ours" else self.to_keep("it is another's")

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return StepFailed(f"could not {doing}: {error.summary}")

    def script(self) -> Script:
        return Script(do="true")


class Role(Robot):
    """One that another run may write over, of which it was seen before whether it was there."""

    called = "a role of r"
    offboarded = "role of r, with its members"
    looks = 3
    shows_after = 40.0

    def said_to_exist(self, intent: Intent) -> bool:
        return bool(intent.get("answered"))

    def is_own_unseen(self, intent: Intent) -> bool:
        return bool(intent.get("absent before"))

    def deleted_as(self) -> str:
        return "took the role of r away"


class Stub:
    """As much of a session as a resource asks for."""

    @cached_property
    def context(self) -> RunContext:
        return RunContext(deadline=Deadline(600), tell=lambda _: None, trace=lambda _: None)

    undo_deadline = Session.undo_deadline


class Plain(Robot):
    """One that says no more of itself than it must."""

    is_same = Resource.is_same
    contradiction = Resource.contradiction


def robot(cloud: Cloud | None = None, kind: type[Robot] = Robot) -> Robot:
    return kind(cloud or Cloud(Thing()), Stub())


async def sent(one: Robot, *answers: BaseException | None) -> None:
    """Send its creation; each time it is answered so."""
    for answer in answers:
        with pytest.raises(BaseException) if answer else _nothing(), one.attempt.sending():
            if answer is not None:
                raise answer


class _nothing:  # noqa: N801
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


INTENT: Intent = {"run": "ours"}


# -- what is known of a creation -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "state", "unanswered", "may_exist"),
    [
        ((), "not sent", 0, False),
        ((FORBIDDEN,), "refused", 0, False),
        ((LOST,), "unanswered", 1, True),
        ((LOST, FORBIDDEN), "unanswered", 1, True),
        ((FORBIDDEN, LOST), "unanswered", 1, True),
        ((asyncio.CancelledError(),), "unanswered", 1, True),
        ((ZeroDivisionError("not foreseen"),), "unanswered", 1, True),
        ((StepFailed("there is no login"),), "not sent", 0, False),
        ((LOST, None), "created", 1, True),
        ((None,), "created", 0, True),
    ],
)
def test_a_request_without_an_answer_may_have_been_carried_out(
    answers: Sequence[BaseException | None], state: str, unanswered: int, may_exist: bool
) -> None:
    one = robot()

    of(lambda: sent(one, *answers))

    found = one.attempt
    assert (found.state, found.unanswered, found.may_exist) == (state, unanswered, may_exist)
    assert found.sent == (state != "not sent")
    assert found.created == (state == "created")


def test_what_exists_may_be_ours_until_it_is_seen_whose_it_is() -> None:
    attempt = Attempt()
    attempt.exists = True
    assert attempt.may_exist
    attempt.conclude(ours=False)
    assert not attempt.may_exist
    attempt.conclude(ours=True)
    assert attempt.created


def test_a_provider_says_which_errors_leave_it_open() -> None:
    one = robot()

    async def send() -> None:
        with pytest.raises(ApiError), one.attempt.sending(lambda error: error.missing):
            raise MISSING

    of(send)
    assert one.attempt.may_exist


# -- looking -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state", "detail"),
    [
        (None, State.MISSING, "does not exist"),
        (Thing(), State.DONE, "exists"),
        (Thing(good=False), State.MISSING, "it is disabled"),
        (FORBIDDEN, State.UNSEEN, "it may not be read"),
    ],
)
def test_a_look(answer: Thing | ApiError | None, state: State, detail: str) -> None:
    assert of(robot(Cloud(reads=[answer])).look) == StepStatus(state, detail)


def test_a_look_that_is_not_answered_is_an_error() -> None:
    with pytest.raises(PullkeyError, match="could not show the robot r: 503"):
        of(robot(Cloud(reads=[LOST])).look)


# -- undoing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [(), (FORBIDDEN,)], ids=["never asked for", "refused"])
def test_what_this_run_has_not_created_is_not_undone(answers: Sequence[ApiError]) -> None:
    one = robot()
    of(lambda: sent(one, *answers))

    assert of(lambda: one.undo(INTENT)) == ""
    assert one.cloud.thing is not None


def test_what_was_answered_is_deleted_though_no_read_shows_it() -> None:
    one = robot(Cloud(Thing(), reads=[None, None, None]))
    of(lambda: sent(one, None))

    assert of(lambda: one.undo(INTENT)) == "deleted the robot r"
    assert one.cloud.thing is None


def test_a_cloud_that_does_not_know_yet_what_was_created_is_asked_again() -> None:
    one = robot(Cloud(Thing(), deletions=[MISSING, MISSING, MISSING]))
    of(lambda: sent(one, None))

    assert of(lambda: one.undo(INTENT)) == "deleted the robot r"
    assert one.cloud.deleted == 1


def test_what_was_created_and_cannot_be_deleted_in_time_is_named() -> None:
    one = robot(Cloud(Thing(), deletions=[MISSING] * 1000))
    of(lambda: sent(one, None))

    with pytest.raises(StillThere) as caught:
        of(lambda: one.undo(INTENT))
    assert caught.value.what.startswith("the robot r (404")
    assert caught.value.command == "cloud robots delete r"


def test_after_a_lost_answer_only_what_bears_the_run_is_deleted() -> None:
    ours, theirs = robot(), robot(Cloud(Thing(run="theirs")))
    of(lambda: sent(ours, LOST))
    of(lambda: sent(theirs, LOST))

    assert of(lambda: ours.undo(INTENT)) == "deleted the robot r"
    assert of(lambda: theirs.undo(INTENT)) == ""
    assert theirs.cloud.thing is not None


def test_after_a_lost_answer_one_read_that_shows_none_is_not_believed() -> None:
    one = robot(Cloud(Thing(), reads=[None]))
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo(INTENT)) == "deleted the robot r"


def test_after_a_lost_answer_two_reads_that_show_none_are_believed() -> None:
    one = robot(Cloud(Thing(), reads=[None, None]))
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo(INTENT)) == ""


def test_what_the_cloud_said_to_exist_is_looked_for_to_the_end_and_named() -> None:
    one = robot(Cloud(None))
    one.attempt.exists = True

    with pytest.raises(StillThere, match="perhaps the robot r"):
        of(lambda: one.undo(INTENT))


def test_a_run_that_was_killed_is_undone_by_its_mark() -> None:
    ours, theirs = robot(), robot(Cloud(Thing(run="theirs")))

    assert of(lambda: ours.undo({**INTENT, "lost": True})) == "deleted the robot r"
    assert of(lambda: theirs.undo({**INTENT, "lost": True})) == ""


def test_what_this_run_created_does_not_make_a_killed_runs_its_own() -> None:
    one = robot(Cloud(Thing(run="theirs")))
    of(lambda: sent(one, None))

    assert of(lambda: one.undo({**INTENT, "lost": True})) == ""
    assert one.cloud.thing is not None


def test_what_others_use_by_then_is_not_deleted() -> None:
    """Another run may create its key after the undo has begun, and while a deletion is repeated."""
    one = robot(Cloud(Thing(), deletions=[ApiError(429, "scripted")]))
    of(lambda: sent(one, None))
    used = iter(("", "key-7"))

    async def check() -> None:
        if key_id := next(used):
            raise UsedByOthers(key_id)

    one._of.context.check_unused = check
    with pytest.raises(UsedByOthers, match="key-7"):
        of(lambda: one.undo(INTENT))
    assert one.cloud.thing is not None


def test_a_deletion_without_an_answer_has_deleted_what_is_missing_then() -> None:
    one = robot(Cloud(Thing(), deletions=[LOST]))
    of(lambda: sent(one, None))

    assert of(lambda: one.undo(INTENT)) == "deleted the robot r"
    assert one.cloud.deleted == 1


def test_a_deletion_without_an_answer_has_deleted_nothing_that_is_still_shown() -> None:
    unanswered = ApiError(503, "scripted")  # and not carried out
    one = robot(Cloud(Thing(), deletions=[unanswered, MISSING]))
    of(lambda: sent(one, None))

    assert of(lambda: one.undo(INTENT)) == "deleted the robot r"
    assert one.cloud.deleted == 1
    assert one.cloud.thing is None


@pytest.mark.parametrize(
    "reads", [[LOST] * 4, [None, None, Thing()]], ids=["unanswered", "of servers that lag"]
)
def test_reads_that_do_not_show_what_this_run_created_do_not_say_that_it_was_deleted(
    reads: list[Thing | ApiError | None],
) -> None:
    unanswered = ApiError(503, "scripted")  # and not carried out
    one = robot(Cloud(Thing(), reads=reads, deletions=[unanswered, MISSING]))
    of(lambda: sent(one, None))

    assert of(lambda: one.undo(INTENT)) == "deleted the robot r"
    assert one.cloud.thing is None


def test_a_read_that_is_refused_does_not_show_it() -> None:
    one = robot(Cloud(Thing(), reads=[FORBIDDEN] * 9, deletions=[LOST]))
    of(lambda: sent(one, None))

    assert of(lambda: one.undo(INTENT)) == "deleted the robot r"


def test_a_cloud_may_answer_itself_that_there_was_none_to_delete() -> None:
    async def delete() -> bool:
        return False

    async def act() -> bool:
        one = robot()
        return await delete_until_gone(
            delete,
            missed=one._missed_though_shown,
            delay=one.delay,
            deadline=Deadline(5),
            tell=lambda _: None,
        )

    assert of(act) is False


def test_a_read_without_an_answer_has_deleted_nothing() -> None:
    one = robot(Cloud(None, reads=[LOST]))
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo(INTENT)) == ""


def test_a_refused_deletion_is_named_at_once() -> None:
    one = robot(Cloud(Thing(), deletions=[FORBIDDEN] * 1000))
    of(lambda: sent(one, None))

    with pytest.raises(StillThere, match=r"^the robot r \(403"):
        of(lambda: one.undo(INTENT))
    assert len(one.cloud.deletions) == 999


async def seconds_of(act: Callable[[], Any]) -> float:
    begin = clock.monotonic()
    await act()
    return clock.monotonic() - begin


def test_what_a_lost_request_has_created_is_given_the_time_that_it_takes_to_be_shown() -> None:
    lost, known = robot(Cloud(Thing(), reads=[None, None]), Role), robot(Cloud(Thing()), Role)
    of(lambda: sent(lost, LOST))
    of(lambda: sent(known, None))

    assert of(lambda: seconds_of(lambda: lost.undo(INTENT))) >= 40
    assert lost.cloud.thing is None
    assert of(lambda: seconds_of(lambda: known.undo(INTENT))) < 40


def test_what_is_not_shown_as_often_as_it_takes_is_absent() -> None:
    one = robot(Cloud(Thing(), reads=[None, None, None]), Role)
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo(INTENT)) == ""
    assert one.cloud.thing is not None


def test_what_a_journal_shows_to_have_been_answered_is_not_absent() -> None:
    one = robot(Cloud(None), Role)

    with pytest.raises(StillThere, match=r"^perhaps a role of r \(404"):
        of(lambda: one.undo({**INTENT, "lost": True, "answered": True}))


@pytest.mark.parametrize("reads", [[None] * 3, [FORBIDDEN] * 9], ids=["not shown", "may not be read"])
def test_what_was_absent_before_is_this_runs_where_no_read_shows_it(
    reads: list[Thing | ApiError | None],
) -> None:
    one = robot(Cloud(Thing(), reads=reads), Role)
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo({**INTENT, "absent before": True})) == "took the role of r away"
    assert len(reads) in (0, 6)


def test_what_was_absent_before_and_is_shown_as_anothers_is_not_deleted() -> None:
    one = robot(Cloud(Thing(run="theirs"), reads=[None, None]), Role)
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo({**INTENT, "absent before": True})) == ""
    assert one.cloud.thing is not None


def test_what_was_absent_before_is_not_deleted_while_reads_are_not_answered() -> None:
    one = robot(Cloud(Thing(run="theirs"), reads=[LOST] * 3), Role)
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo({**INTENT, "absent before": True})) == ""


# -- offboarding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cloud", "against", "disposition", "why", "command"),
    [
        (Cloud(Thing()), "", Disposition.REMOVE, "", True),
        (Cloud(Thing(), reads=[None]), "", Disposition.REMOVE, "", True),
        (Cloud(Thing(run="theirs")), "", Disposition.KEEP, "it is another's", True),
        (Cloud(None), "", Disposition.GONE, "does not exist", False),
        (Cloud(None), "its role names it", Disposition.UNSEEN, "its role names it", True),
        (Cloud(reads=[FORBIDDEN]), "", Disposition.UNSEEN, "it may not be seen (403, scripted)", True),
    ],
)
def test_what_offboarding_does_with_it(
    cloud: Cloud, against: str, disposition: Disposition, why: str, command: bool
) -> None:
    one = robot(cloud)
    one.against = against

    assert of(one.removal) == Removal(disposition, "robot r", why, "cloud robots delete r" if command else "")


def test_a_list_of_removals_names_what_is_deleted_along_with_it() -> None:
    named = "role of r, with its members"
    theirs = robot(Cloud(Thing(run="theirs")), Role)
    unseen = robot(Cloud(reads=[FORBIDDEN]), Role)

    for one in (robot(Cloud(Thing()), Role), theirs, unseen, robot(Cloud(None), Role)):
        assert of(one.removal).what == named
    assert of(robot(Cloud(Thing()), Role).remove) == "took the role of r away"


def test_what_cannot_be_read_is_not_offboarded() -> None:
    with pytest.raises(PullkeyError, match="could not show the robot r"):
        of(robot(Cloud(reads=[LOST])).removal)


def test_a_removal_that_finds_none_is_repeated_while_the_cloud_shows_it() -> None:
    one = robot(Cloud(Thing(), deletions=[MISSING, MISSING]))

    assert of(one.remove) == "deleted the robot r"


def test_a_removal_that_finds_none_that_is_shown_is_done() -> None:
    gone, another = robot(Cloud(None)), robot(Cloud(Thing(number=2), deletions=[MISSING]))

    assert of(gone.remove) == ""
    assert of(another.remove) == ""
    assert another.cloud.thing is not None


def test_where_no_number_tells_two_apart_what_is_shown_is_what_was_to_be_deleted() -> None:
    one = robot(Cloud(Thing(number=2), deletions=[MISSING]), Plain)

    assert of(one.remove) == "deleted the robot r"


def test_where_nothing_can_contradict_it_two_reads_are_believed() -> None:
    assert of(robot(Cloud(None), Plain).removal) == Removal(Disposition.GONE, "robot r", "does not exist")


def test_what_stays_shown_and_undeletable_is_named() -> None:
    with pytest.raises(StillThere, match="says that none exists to delete, but shows it"):
        of(robot(Cloud(Thing(), deletions=[MISSING] * 1000)).remove)


def test_a_busy_cloud_is_waited_for_as_long_as_it_asks() -> None:
    limited = ApiError(429, "slow down", retry_after=7)
    one = robot(Cloud(Thing(), deletions=[limited]))

    async def timed() -> tuple[str, float]:
        begin = clock.monotonic()
        return await one.remove(), clock.monotonic() - begin

    said, seconds = of(timed)
    assert said == "deleted the robot r"
    assert seconds >= 7


@pytest.mark.parametrize(
    ("step", "error"),
    [(CreatedToken, HubApiError), (RobotAccount, HarborApiError), (CreatedDeployToken, GitlabApiError)],
)
@pytest.mark.parametrize(
    ("status", "says", "fix"),
    [
        (0, "did not answer the request to show the token", "in a few minutes"),
        (429, "limits the rate of calls, so it could not show the token", "after 7 s"),
        (401, "does not accept this login, so it could not show the token", ""),
        (403, "refused to show the token", ""),
    ],
)
def test_only_a_refusal_is_called_one(step: Any, error: Any, status: int, says: str, fix: str) -> None:
    failed = step.refusal(None, error(status, "its words", retry_after=7), "show the token")
    assert failed.what.startswith(f"{error.service} {says}: ")
    assert fix in failed.fix
