"""One key by its id, and the one that Akka holds: what lags or is refused is not taken for gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.model import clock
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.errors import KeyGone, StepFailed
from bootstrap.model.key_facts import KeyFacts
from bootstrap.model.key_ref import KeyRef
from bootstrap.plugin.key_resource import KeyResource
from bootstrap.plugin.keys import Keys
from bootstrap.plugin.step import State, StepStatus
from tests.harness.scripted_keys import (
    FORBIDDEN,
    FUTURE,
    LOST,
    LOST_AFTER,
    MISSING,
    PAST,
    Cloud,
    RobotKey,
    Shown,
    UnmarkedKey,
    cloud,
    key,
    record,
)
from tests.harness.virtual_time import of

# -- which key a record names --------------------------------------------------------------------------------


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
        def owns(self, link: KeyRef) -> bool:
            return link.name == "another"

    assert of(lambda: key(cloud(), Particular).key_of(record())) is None


# -- looking -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "held", "state", "detail"),
    [
        (Shown("key-001"), None, State.MISSING, "Akka has no credential of this name"),
        (Shown("key-001"), record(), State.DONE, "Akka holds key key-001, which is valid"),
        (Shown("key-001", expires=FUTURE), record(), State.DONE, "Akka holds key key-001, which is valid"),
        (None, record(), State.MISSING, "the key that Akka holds, key-001, was deleted"),
        (
            Shown("key-001", disabled=True),
            record(),
            State.MISSING,
            "the key that Akka holds, key-001, is disabled",
        ),
        (
            Shown("key-001", expires=PAST),
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

    assert of(key(at, kind, record=held).look) == StepStatus(state, detail)


def test_a_key_is_expired_at_its_end() -> None:
    one = key(Cloud({"key-001": Shown("key-001")}), record=record())

    async def look() -> StepStatus:
        one.cloud.keys["key-001"].expires = clock.now()
        return await one.look()

    assert of(look).detail == "the key that Akka holds, key-001, has expired"


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
    assert of(key(cloud(reads=[FORBIDDEN]), record=record()).look) == StepStatus(
        State.UNSEEN, "it may not be read"
    )
    with pytest.raises(StepFailed, match="could not show the keys of r: 503"):
        of(key(cloud(reads=[LOST]), record=record()).look)


def test_what_akka_holds_was_there_before_though_no_list_shows_it() -> None:
    one = key(cloud("key-000"), UnmarkedKey, record=record())

    of(one.look)

    assert one.before == ["key-000", "key-001"]


# -- one key by its id ---------------------------------------------------------------------------------------


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
