"""A key's lifecycle, against a cloud that lags, loses answers and refuses: none is left behind, and none of others is deleted."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bootstrap.credential import Credential
from bootstrap.errors import KeyGone, OutcomeUnknown, PullkeyError, StepFailed
from bootstrap.link import KeyLink
from bootstrap.plugin import clock
from bootstrap.plugin.errors import ApiError
from bootstrap.plugin.key_resource import SETTLE_PAUSES, KeyResource
from bootstrap.plugin.keys import Keys
from bootstrap.provider import HeldCredential, KeyFacts, KeysInUse, RunContext, Session
from bootstrap.secret import Secret
from bootstrap.steps import Intent, Script, Sighting, State, StillThere
from bootstrap.testing.simulation.loop import VirtualClock, VirtualLoop
from bootstrap.waiting import Deadline

MISSING, FORBIDDEN, LOST, LOST_AFTER = (ApiError(status, "scripted") for status in (404, 403, 503, 502))
"""`LOST_AFTER` has been carried out."""
SERVER = "https://registry.example"


@dataclass
class Shown:
    key_id: str
    run: str = "ours"
    disabled: bool = False
    ends: dt.datetime | None = None


@dataclass
class Cloud:
    """What each next call is answered; after that, what is true."""

    keys: dict[str, Shown] = field(default_factory=dict)
    reads: list[ApiError | None] = field(default_factory=list)
    lists: list[ApiError | Sequence[str]] = field(default_factory=list)
    creations: list[ApiError] = field(default_factory=list)
    deletions: list[ApiError] = field(default_factory=list)
    switches: list[ApiError] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def read(self, key_id: str) -> Shown | None:
        self.calls.append(f"read {key_id}")
        if self.reads:
            if (answer := self.reads.pop(0)) is not None:
                raise answer
            return None
        return self.keys.get(key_id)

    def listed(self) -> list[Shown]:
        self.calls.append("list")
        answer = self.lists.pop(0) if self.lists else [*self.keys]
        if isinstance(answer, ApiError):
            raise answer
        return [self.keys[one] for one in answer]

    def create(self) -> str:
        self.calls.append("create")
        answer = self.creations.pop(0) if self.creations else None
        if answer is None or answer is LOST_AFTER:
            made = f"key-{1 + sum(call == 'create' for call in self.calls):03}"
            self.keys[made] = Shown(made)
            if answer is None:
                return made
        raise answer

    def delete(self, key_id: str) -> None:
        self.calls.append(f"delete {key_id}")
        answer = self.deletions.pop(0) if self.deletions else None
        if answer is None and key_id not in self.keys:
            raise MISSING
        if answer in (None, LOST_AFTER):
            self.keys.pop(key_id, None)
        if answer is not None:
            raise answer

    def switch(self, key_id: str, *, on: bool) -> None:
        self.calls.append(f"switch {key_id}")
        if self.switches:
            raise self.switches.pop(0)
        if key_id not in self.keys:
            raise MISSING
        self.keys[key_id].disabled = not on


class Stub:
    """As much of a session as a key asks for."""

    def __init__(self, record: HeldCredential | None = None, in_use: Sequence[str] = ()) -> None:
        self.record, self.in_use = record, in_use
        self.credential: Credential | None = None
        self.key: Any = None
        self.context = RunContext(
            Deadline(600), lambda _: None, lambda _: None, held=self._held, in_use=self._keys_in_use
        )

    async def _held(self) -> HeldCredential | None:
        return self.record

    async def _keys_in_use(self) -> KeysInUse:
        if "unknown" in self.in_use:
            raise PullkeyError("Akka cannot be asked")
        return KeysInUse(frozenset(self.in_use))

    async def server(self) -> str:
        return SERVER

    async def username(self) -> str:
        return "robot"

    undo_deadline = Session.undo_deadline


class RobotKey(KeyResource[Shown, str]):
    title = "Create a key of r"
    whose = " of r"
    new = False

    def __init__(self, cloud: Cloud, session: Any) -> None:
        super().__init__(session)
        session.key = self
        self.cloud = cloud
        self.forgotten = 0

    def intent(self) -> Intent:
        return {"run": "ours", "before": [*(self.before or ())]}

    async def read(self, key_id: str) -> Shown | None:
        return self.cloud.read(key_id)

    def facts_of(self, shown: Shown) -> KeyFacts:
        return KeyFacts(shown.key_id, None, shown.ends, shown.disabled)

    async def create(self) -> str:
        return self.cloud.create()

    def id_of(self, answer: str) -> str:
        return answer

    async def credential_of(self, answer: str) -> Credential:
        return Credential(SERVER, "robot", Secret("s3cret-of-it"), KeyLink("r", answer, "x.y"))

    async def send_deletion(self, key_id: str) -> None:
        self.cloud.delete(key_id)

    async def send_switch(self, key_id: str, *, on: bool) -> None:
        self.cloud.switch(key_id, on=on)

    def delete_command(self, key_id: str) -> str:
        return f"cloud keys delete {key_id}" if key_id else "cloud keys list"

    async def of_run(self, intent: Intent) -> Sequence[str]:
        return [one.key_id for one in self.cloud.listed() if one.run == intent["run"]]

    async def ids_now(self) -> Collection[str]:
        return [one.key_id for one in self.cloud.listed()]

    @property
    def identity_created(self) -> bool:
        return self.new

    def refusal(self, error: ApiError, doing: str) -> StepFailed:
        return StepFailed(f"could not {doing}: {error.said}")

    def invalidate(self) -> None:
        self.forgotten += 1

    def script(self) -> Script:
        return Script(do="true")


class UnmarkedKey(RobotKey):
    marked = False


def key(cloud: Cloud, kind: type[RobotKey] = RobotKey, **session: Any) -> RobotKey:
    return kind(cloud, Stub(**session))


def of(act: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What comes of it, on a clock on which minutes pass in no time."""
    loop = VirtualLoop()
    with clock.use(VirtualClock(loop, random.Random(0))):
        try:
            return loop.run_until_complete(act())
        finally:
            loop.close()


def record(key_id: str = "key-001", username: str = "robot", status: str = "OK") -> HeldCredential:
    return HeldCredential("one", SERVER, username, str(KeyLink("r", key_id, "x.y")), status)


def cloud(*keys: str, **answers: Any) -> Cloud:
    return Cloud({one: Shown(one, run="another's") for one in keys}, **answers)


async def sent(one: RobotKey, *answers: ApiError | None) -> None:
    """Send its creation; each time it is answered so."""
    for answer in answers:
        try:
            with one.attempt.sending():
                if answer is not None:
                    raise answer
        except ApiError:
            pass


PAST, FUTURE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2999, 1, 1, tzinfo=dt.UTC)


# -- which key a record names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "key_id"),
    [
        (record(), "key-001"),
        (record(username=""), "key-001"),
        (record(username="another"), None),
        (replace(record(), email="jo@x.y"), None),
    ],
    ids=["ours", "no user name", "another user name", "no key"],
)
def test_which_key_a_record_names(held: HeldCredential, key_id: str | None) -> None:
    link = of(lambda: key(cloud()).key_of(held))

    assert (link.key_id if link else None) == key_id


def test_an_email_of_another_identity_names_none_of_its_keys() -> None:
    class Particular(RobotKey):
        def owns(self, link: KeyLink) -> bool:
            return link.name == "another"

    assert of(lambda: key(cloud(), Particular).key_of(record())) is None


# -- looking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "held", "state", "detail"),
    [
        (Shown("key-001"), None, State.MISSING, "Akka has no credential of this name"),
        (Shown("key-001"), record(), State.DONE, "Akka holds key key-001, which is valid"),
        (Shown("key-001", ends=FUTURE), record(), State.DONE, "Akka holds key key-001, which is valid"),
        (None, record(), State.MISSING, "the key that Akka holds, key-001, was deleted"),
        (
            Shown("key-001", disabled=True),
            record(),
            State.MISSING,
            "the key that Akka holds, key-001, is disabled",
        ),
        (
            Shown("key-001", ends=PAST),
            record(),
            State.MISSING,
            "the key that Akka holds, key-001, has expired",
        ),
    ],
)
@pytest.mark.parametrize("kind", [RobotKey, UnmarkedKey])
def test_a_look(
    kind: type[RobotKey], shown: Shown | None, held: HeldCredential | None, state: State, detail: str
) -> None:
    at = Cloud({"key-001": shown} if shown else {})

    assert of(key(at, kind, record=held).look) == Sighting(state, detail)


def test_a_key_that_one_read_does_not_show_is_looked_for_again() -> None:
    one = key(cloud("key-001", reads=[None, None]), record=record())

    assert of(one.look).state is State.DONE


def test_where_two_places_are_asked_one_read_is_enough() -> None:
    for keys, state in ((["key-001"], State.DONE), ([], State.MISSING)):
        one = key(cloud(*keys), record=record())
        one.asks_two_places = True

        assert of(one.look).state is state
        assert one.cloud.calls == ["read key-001"]


def test_keys_from_before_may_be_noted_though_keys_are_marked() -> None:
    class Noting(RobotKey):
        keeps_list = True

    one = key(cloud("key-000"), Noting)

    of(one.look)

    assert one.before == ["key-000"]
    assert of(lambda: key(cloud("key-000")).look()).state is State.MISSING


def test_a_look_that_is_refused_is_unseen_and_any_other_error_is_one() -> None:
    assert of(key(cloud(reads=[FORBIDDEN]), record=record()).look) == Sighting(
        State.UNSEEN, "it may not be read"
    )
    with pytest.raises(StepFailed, match="could not show the keys of r: 503"):
        of(key(cloud(reads=[LOST]), record=record()).look)


def test_what_akka_holds_was_there_before_though_no_list_shows_it() -> None:
    one = key(cloud("key-000"), UnmarkedKey, record=record())

    of(one.look)

    assert one.before == ["key-000", "key-001"]


# -- one key by its id -------------------------------------------------------------------------------------------------


def test_the_facts_of_a_key() -> None:
    one = key(cloud("key-001"))

    assert of(lambda: one.facts("key-001")) == KeyFacts("key-001", None)
    assert of(lambda: one.facts("key-002")) is None
    one.cloud.reads = [FORBIDDEN]
    with pytest.raises(StepFailed, match="could not show key key-001 of r: 403"):
        of(lambda: one.facts("key-001"))


def test_a_key_is_deleted_once() -> None:
    one = key(cloud("key-001"))

    assert of(lambda: one.delete("key-001")) is True
    assert of(lambda: one.delete("key-001")) is False
    assert one.forgotten == 2


def test_a_key_that_is_shown_is_not_gone_because_a_server_does_not_know_it() -> None:
    one = key(cloud("key-001", deletions=[MISSING, MISSING], reads=[None]))

    assert of(lambda: one.delete("key-001")) is True
    assert not one.cloud.keys


def test_a_key_that_this_run_created_is_not_gone_because_a_server_does_not_know_it() -> None:
    one = key(cloud("key-001", deletions=[MISSING], reads=[None] * 9))
    one.created.add("key-001")

    assert of(lambda: one.delete("key-001")) is True
    assert "read key-001" not in one.cloud.calls


@pytest.mark.parametrize("two_places", [False, True])
def test_how_often_a_key_is_looked_for_before_it_is_gone(two_places: bool) -> None:
    one = key(cloud())
    one.asks_two_places = two_places

    assert of(lambda: one.delete("key-001")) is False
    assert one.cloud.calls.count("read key-001") == (1 if two_places else 4)


def test_after_a_deletion_without_an_answer_none_is_the_answer() -> None:
    one = key(cloud("key-001", deletions=[LOST_AFTER]))

    assert of(lambda: one.delete("key-001")) is True


def test_after_a_deletion_without_an_answer_a_key_that_is_shown_is_not_gone() -> None:
    one = key(cloud("key-001", deletions=[LOST, MISSING]))

    assert of(lambda: one.delete("key-001")) is True
    assert not one.cloud.keys


def test_a_deletion_that_is_refused_is_an_error() -> None:
    with pytest.raises(StepFailed, match="could not delete key key-001 of r: 403"):
        of(lambda: key(cloud("key-001", deletions=[FORBIDDEN])).delete("key-001"))


@pytest.mark.parametrize("on", [True, False])
def test_a_key_is_switched(on: bool) -> None:
    one = key(Cloud({"key-001": Shown("key-001", disabled=on)}, switches=[LOST, MISSING]))

    of(lambda: one.switch("key-001", on=on))

    assert one.cloud.keys["key-001"].disabled is not on
    assert one.forgotten == 1


def test_a_key_that_is_gone_cannot_be_switched() -> None:
    with pytest.raises(KeyGone, match=r"^Key key-001 of r was deleted$"):
        of(lambda: key(cloud()).switch("key-001", on=True))


@pytest.mark.parametrize(("on", "verb"), [(True, "enable"), (False, "disable")])
def test_a_switch_that_is_refused_is_an_error(on: bool, verb: str) -> None:
    with pytest.raises(StepFailed, match=f"could not {verb} key key-001 of r: 403"):
        of(lambda: key(cloud("key-001", switches=[FORBIDDEN])).switch("key-001", on=on))


def test_what_a_provider_does_not_say() -> None:
    one = key(cloud())
    for act in (
        lambda: KeyResource.send_switch(one, "key-001", on=True),
        lambda: KeyResource.of_run(one, {}),
        lambda: KeyResource.ids_now(one),
        lambda: Keys.switch(one, "key-001", on=True),
    ):
        with pytest.raises(NotImplementedError):
            of(act)
    assert of(one.list_ours) == []
    assert of(one.list_counted) is None
    assert of(lambda: one.used_by_others([])) == []
    assert KeyResource.identity_created.fget(one) is False  # type: ignore[attr-defined]
    KeyResource.invalidate(one)


# -- creating ----------------------------------------------------------------------------------------------------------


def test_a_key_is_created_and_handed_on() -> None:
    one = key(cloud())

    done = of(one.do)

    assert (done.detail, done.made, done.left_over) == ("key key-002", {"key_id": "key-002"}, None)
    assert one._of.credential is not None
    assert one._of.credential.link.key_id == "key-002"
    assert one.created == {"key-002"}
    assert one.cloud.calls == ["create"]
    assert one.forgotten == 1


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


def test_a_marked_key_that_shows_late_is_deleted_beside_the_one_that_was_answered() -> None:
    one = key(cloud(creations=[LOST_AFTER], lists=[[], [], ["key-002", "key-003"]]))
    one.doubles_pauses = (1.0,)

    done = of(one.do)

    assert [*one.cloud.keys] == [done.made["key_id"]] == ["key-003"]


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


# -- undoing -----------------------------------------------------------------------------------------------------------

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
