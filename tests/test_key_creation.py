"""A key is created once, and undone: none is left behind, and none of others is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import pytest

from bootstrap.model import clock
from bootstrap.model.credential import Credential
from bootstrap.model.errors import OutcomeUnknown, PullkeyError, StepFailed
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_kind import SETTLE_PAUSES
from bootstrap.plugin.step import Intent, StillThere
from tests.harness.scripted_keys import (
    FORBIDDEN,
    LOST,
    LOST_AFTER,
    MISSING,
    Cloud,
    RobotKey,
    Shown,
    UnmarkedKey,
    cloud,
    key,
    sent,
)
from tests.harness.virtual_time import of

# -- creating ------------------------------------------------------------------------------------------------


def test_a_key_is_created_and_handed_on() -> None:
    one = key(cloud())

    done = of(one.do)

    assert (done.detail, done.made, done.left_over) == ("key key-002", {"key_id": "key-002"}, None)
    assert one._of.credential is not None
    assert one._of.credential.link.key_id == "key-002"
    assert one.created == {"key-002"}
    assert one.cloud.calls == ["create"]
    assert one.forgotten == 1


@pytest.mark.parametrize("key_id", ["", None, 17, ["key-002"]])
def test_an_answer_without_an_id_that_is_a_text_is_as_good_as_lost(key_id: Any) -> None:
    """The key is found by the mark of its run and deleted, and another one created."""

    class Odd(RobotKey):
        def id_of(self, answer: str) -> str:
            return answer if answer != "key-002" else key_id

    one = key(cloud(), Odd)

    done = of(one.do)

    assert done.made == {"key_id": "key-003"}
    assert set(one.cloud.keys) == {"key-003"}


def test_keys_are_listed_before_one_is_created_unless_a_look_has_done_so() -> None:
    one = key(cloud("key-000"), UnmarkedKey)

    of(one.do)

    assert one.before == ["key-000"]
    assert one.cloud.calls == ["list", "create"]

    again = key(cloud(), UnmarkedKey)
    of(again.look)
    of(again.do)
    assert again.cloud.calls == ["list", "create"]


def test_a_creation_that_is_refused_is_an_error() -> None:
    one = key(cloud(creations=[FORBIDDEN]))

    with pytest.raises(StepFailed, match="could not create a key of r: 403"):
        of(one.do)
    assert not one.attempt.may_exist
    assert one.cloud.calls == ["create"]


@pytest.mark.parametrize("answer", [LOST, LOST_AFTER], ids=["not carried out", "carried out"])
def test_a_marked_key_whose_answer_is_lost_is_deleted_before_the_next(answer: ApiError) -> None:
    one = key(cloud("key-000", creations=[answer]))

    done = of(one.do)

    assert sorted(one.cloud.keys) == ["key-000", done.made["key_id"]]
    assert done.left_over is None


@pytest.mark.parametrize("without", [{}, {"key-002": ""}], ids=["unreadable", "empty"])
def test_a_key_that_the_answer_does_not_name_is_as_good_as_lost(without: dict[str, str]) -> None:
    class Unread(RobotKey):
        def id_of(self, answer: str) -> str:
            return {**without, "key-003": "key-003"}[answer]

    one = key(cloud(), Unread)

    done = of(one.do)

    assert done.made == {"key_id": "key-003"}
    assert [*one.cloud.keys] == ["key-003"]
    assert one.cloud.calls == ["create", "list", "delete key-002", "create", "list"]


def test_a_key_of_which_no_credential_is_made_is_undone_by_its_id() -> None:
    class Secretless(RobotKey):
        async def credential_of(self, answer: str) -> Credential:
            raise KeyError("secret")

    one = key(cloud("key-000"), Secretless)
    with pytest.raises(KeyError):
        of(one.do)
    assert one.answered == "key-002"  # so that it does not count as another run's
    of(lambda: one.undo(one.intent()))
    assert [*one.cloud.keys] == ["key-000"]


def test_a_marked_key_that_shows_late_is_deleted_beside_the_one_that_was_answered() -> None:
    one = key(cloud(creations=[LOST_AFTER], lists=[[], [], ["key-002", "key-003"]]))
    one.doubles_pauses = (1.0,)

    done = of(one.do)

    assert [*one.cloud.keys] == [done.made["key_id"]] == ["key-003"]


def test_a_double_that_may_not_be_deleted_is_named_and_the_key_is_good() -> None:
    one = key(
        cloud(creations=[LOST_AFTER], lists=[[], [], ["key-002", "key-003"]], deletions=[FORBIDDEN] * 9)
    )
    one.doubles_pauses = (1.0,)

    done = of(one.do)

    assert done.made["key_id"] == "key-003"
    assert done.left_over is not None
    assert "key key-002 of r (403" in done.left_over.what
    assert "key-002" in done.left_over.command


def test_a_marked_key_that_may_not_be_deleted_is_named_by_its_id() -> None:
    one = key(Cloud({"key-002": Shown("key-002")}, deletions=[FORBIDDEN] * 9))

    with pytest.raises(StillThere, match=r"key key-002 of r \(403"):
        of(lambda: one.undo({**OURS, "lost": True}))


def test_an_unmarked_key_that_has_appeared_ends_the_run() -> None:
    one = key(
        cloud("key-000", creations=[LOST_AFTER], lists=[["key-000"], ["key-000"], ["key-000"]]), UnmarkedKey
    )

    with pytest.raises(
        OutcomeUnknown, match=r"creation of a key \(502\), and key key-002 has appeared since"
    ):
        of(one.do)
    assert one.cloud.calls.count("create") == 1
    assert one.attempt.may_exist


def test_after_an_unmarked_key_that_has_not_appeared_the_next_is_created() -> None:
    one = key(cloud("key-000", creations=[LOST]), UnmarkedKey)

    done = of(one.do)

    assert done.made == {"key_id": "key-003"}
    assert done.left_over is None
    assert one.cloud.calls == ["list", "create", "list", "list", "list", "create", "list"]


def test_an_unmarked_key_is_given_time_to_appear() -> None:
    one = key(cloud(creations=[LOST]), UnmarkedKey)

    async def seconds() -> float:
        begin = clock.monotonic()
        await one.do()
        return clock.monotonic() - begin

    assert of(seconds) >= sum(SETTLE_PAUSES)


def late(*, new: bool = False, in_use: Sequence[str] = (), **answers: Any) -> RobotKey:
    """A key of which a lost answer's double shows only once it was created."""
    one = key(
        cloud("key-000", creations=[LOST_AFTER], lists=[["key-000"]] * 4, **answers),
        UnmarkedKey,
        in_use=in_use,
    )
    one.new = new
    return one


def test_what_appears_beside_an_unmarked_key_is_named_and_not_deleted() -> None:
    one = late()

    left = of(one.do).left_over

    assert left is not None
    assert (left.what, left.command) == (
        "key key-002 of r, which appeared during the run and may be unused",
        "cloud keys delete key-002",
    )
    assert sorted(one.cloud.keys) == ["key-000", "key-002", "key-003"]


def test_what_appears_of_an_identity_that_this_run_created_is_its_own() -> None:
    one = late(new=True)

    assert of(one.do).left_over is None
    assert sorted(one.cloud.keys) == ["key-000", "key-003"]


def test_more_than_this_run_has_asked_for_is_not_its_own() -> None:
    one = late(new=True)
    one.cloud.keys["key-100"] = Shown("key-100")

    left = of(one.do).left_over

    assert left is not None
    assert "key-002, key-100" in left.what


def test_what_akka_names_has_not_appeared() -> None:
    assert of(late(in_use=["key-002"]).do).left_over is None
    assert of(late(in_use=["unknown"]).do).left_over is not None


def test_that_what_appeared_cannot_be_seen_does_not_fail_a_key_that_was_created() -> None:
    one = late()
    one.cloud.lists.append(FORBIDDEN)

    assert of(one.do).left_over is None


def test_what_is_as_good_as_answered_is_not_created_again() -> None:
    class Adopting(RobotKey):
        async def after_lost_answer(self, error: ApiError) -> str | None:
            del error
            return "key-002"

    one = key(cloud(creations=[LOST_AFTER]), Adopting)

    assert of(one.do).made == {"key_id": "key-002"}
    assert one.attempt.created


# -- undoing -------------------------------------------------------------------------------------------------

OURS: Intent = {"run": "ours", "before": ["key-000"]}


@pytest.mark.parametrize("answers", [(), (FORBIDDEN,)], ids=["never asked for", "refused"])
def test_what_this_run_has_not_created_is_not_undone(answers: Sequence[ApiError]) -> None:
    one = key(Cloud({"key-001": Shown("key-001")}))
    of(lambda: sent(one, *answers))

    assert of(lambda: one.undo(OURS)) == ""
    assert one.cloud.calls == []


def test_a_key_whose_creation_was_answered_is_deleted_by_its_id() -> None:
    one = key(cloud("key-001"))

    assert of(lambda: one.undo({**OURS, "key_id": "key-001"})) == "deleted key key-001 of r"
    assert of(lambda: one.undo({**OURS, "key_id": "key-001"})) == ""


def test_a_key_that_cannot_be_deleted_is_named() -> None:
    one = key(cloud("key-001", deletions=[FORBIDDEN]))

    with pytest.raises(StillThere, match=r"^key key-001 of r \(403, scripted\)$") as found:
        of(lambda: one.undo({**OURS, "key_id": "key-001"}))
    assert found.value.command == "cloud keys delete key-001"


def test_a_key_that_this_run_created_and_the_cloud_does_not_know_in_time_is_named() -> None:
    one = key(cloud("key-001", deletions=[MISSING] * 1000))
    one.created.add("key-001")

    with pytest.raises(StillThere, match="key key-001 of r"):
        of(lambda: one.undo({**OURS, "key_id": "key-001"}))


def test_marked_keys_of_a_run_are_deleted_and_no_others() -> None:
    one = key(
        Cloud({"key-000": Shown("key-000", "another's"), "key-002": Shown("key-002")}, lists=[[], LOST])
    )

    assert of(lambda: one.undo({**OURS, "lost": True})) == "deleted key key-002 of r"
    assert [*one.cloud.keys] == ["key-000"]
    assert one.cloud.calls == ["list", "list", "list", "delete key-002"]


def test_a_run_that_has_created_none_has_nothing_to_undo() -> None:
    one = key(cloud("key-000"))
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo(OURS)) == ""
    assert one.cloud.calls == ["list"] * 4


def test_marked_keys_that_cannot_be_listed_may_be_there() -> None:
    one = key(cloud(lists=[FORBIDDEN]))

    with pytest.raises(
        StillThere, match=r"^a key that may have been created of r \(403, scripted\)$"
    ) as found:
        of(lambda: one.undo({**OURS, "lost": True}))
    assert found.value.command == "cloud keys list"


def test_an_error_in_pullkeys_own_words_is_passed_on() -> None:
    class LoggedOut(RobotKey):
        async def of_run(self, intent: Intent) -> Sequence[str]:
            raise PullkeyError("no login")

    with pytest.raises(StillThere, match=r"\(no login\)"):
        of(lambda: key(cloud(), LoggedOut).undo({**OURS, "lost": True}))


def test_keys_of_an_identity_that_is_gone_are_gone() -> None:
    assert of(lambda: key(cloud(lists=[MISSING]), UnmarkedKey).undo({**OURS, "lost": True})) == ""


def test_an_unmarked_key_that_has_appeared_is_named_and_not_deleted() -> None:
    one = key(cloud("key-000", "key-001", "key-002", "key-003", "key-004"), UnmarkedKey, in_use=["key-003"])
    one.before = ["key-004"]

    with pytest.raises(StillThere, match="key key-001 of r, which appeared") as found:
        of(lambda: one.undo({**OURS, "lost": True, "in_use": ["key-002"]}))
    assert found.value.command == "cloud keys delete key-001"
    assert len(one.cloud.keys) == 5


def test_an_unmarked_key_that_another_run_registers_meanwhile_is_not_named() -> None:
    in_use: list[str] = []

    class Registered(UnmarkedKey):
        async def ids_now(self) -> Collection[str]:
            found = await super().ids_now()
            if self.cloud.calls.count("list") > 1:
                in_use.append("key-001")
            return found

    one = key(cloud("key-000", "key-001", "key-002"), Registered, in_use=in_use)

    with pytest.raises(StillThere, match="key key-002 of r, which appeared"):
        of(lambda: one.undo({**OURS, "lost": True}))


def test_an_unmarked_key_of_an_identity_that_this_run_created_is_deleted() -> None:
    one = key(cloud("key-000", "key-001"), UnmarkedKey)
    one.new = True
    of(lambda: sent(one, LOST))

    assert of(lambda: one.undo(OURS)) == "deleted key key-001 of r"
    assert of(lambda: one.undo(OURS)) == ""


@pytest.mark.parametrize(
    ("goes", "new", "stays", "undone"),
    [
        (True, True, False, ""),
        (True, True, True, "deleted key key-001 of r"),
        (True, False, False, "deleted key key-001 of r"),
        (False, True, False, "deleted key key-001 of r"),
    ],
)
def test_a_key_that_is_deleted_with_its_identity_is_not_undone(
    goes: bool, new: bool, stays: bool, undone: str
) -> None:
    one = key(cloud("key-001"))
    one.goes_with_identity, one.new = goes, new

    intent = {**OURS, "key_id": "key-001"} | ({"identity_stays": True} if stays else {})
    assert of(lambda: one.undo(intent)) == undone


def test_a_creation_that_was_cut_off_is_undone() -> None:
    one = key(Cloud({"key-002": Shown("key-002")}))

    async def interrupted() -> None:
        with pytest.raises(asyncio.CancelledError), one.attempt.sending():
            raise asyncio.CancelledError

    of(interrupted)
    assert of(lambda: one.undo(OURS)) == "deleted key key-002 of r"


def test_between_two_looks_there_is_a_pause() -> None:
    one = key(cloud())
    of(lambda: sent(one, LOST))

    async def seconds() -> float:
        begin = clock.monotonic()
        await one.undo(OURS)
        return clock.monotonic() - begin

    assert of(seconds) >= sum(one.undo_pauses)


def test_what_a_provider_asks_for_before_a_creation_is_asked_for_before_each() -> None:
    class Asking(RobotKey):
        asked = 0

        async def before_creation(self) -> None:
            self.asked += 1

    one = key(cloud(creations=[LOST]), Asking)

    of(one.do)

    assert isinstance(one, Asking)
    assert one.asked == 2
