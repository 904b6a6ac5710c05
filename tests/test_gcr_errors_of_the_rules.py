"""Errors that the rules of all clouds raise themselves: at Google each has a sentence, with its reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.model.codes import Code
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import StepFailed
from bootstrap.model.secret import Secret
from bootstrap.plugin.attempt import Attempt
from bootstrap.plugin.context import RunContext
from bootstrap.plugin.deletion import NotShownYet, StillShown
from bootstrap.plugin.errors import ApiError
from providers.gcr.errors import GoogleApiError, refused
from providers.gcr.key import Created, Key
from tests.harness.virtual_time import of

ACCOUNT = "reader@acme-shop.iam.gserviceaccount.com"
NOT_FOUND = GoogleApiError("NOT_FOUND", "Not found")


def key(**calls: Any) -> Key:
    context = RunContext(Deadline(60), lambda _: None, lambda _: None)
    target = SimpleNamespace(account=ACCOUNT, account_resource=f"projects/-/serviceAccounts/{ACCOUNT}")
    session: Any = SimpleNamespace(
        context=context, target=target, cloud=SimpleNamespace(), account_is_new=False
    )
    session.keys = session.cloud.user_keys = calls.pop("keys")
    for name, call in calls.items():
        setattr(session.cloud, name, call)
    made = Key(session, SimpleNamespace(attempt=Attempt()), SimpleNamespace())  # type: ignore[arg-type]
    made.invalidate = lambda: None  # type: ignore[method-assign]
    return made


@pytest.mark.parametrize("error", [NotShownYet(NOT_FOUND), StillShown(NOT_FOUND), ApiError(404, "not shown")])
def test_one_that_says_there_is_none(error: ApiError) -> None:
    failed = refused(error, "delete the key")
    assert failed.what.startswith("Google refused to delete the key: NOT_FOUND, ")
    assert failed.code is Code.CLOUD_REFUSED


def test_a_deletion_without_an_answer_whose_key_is_shown_until_the_time_is_over() -> None:
    answers = [GoogleApiError("UNAVAILABLE", "try again")]

    async def delete_key(_: str) -> None:
        raise answers.pop() if answers else NOT_FOUND

    async def keys(*_: str) -> dict[str, object]:
        return {"k1": object()}

    with pytest.raises(StepFailed, match=r"Google refused to delete key k1 .* but shows it"):
        of(lambda: key(delete_key=delete_key, keys=keys).delete("k1"))


def test_a_creation_whose_answer_names_no_key() -> None:
    async def create_key(_: str) -> Created:
        return SimpleNamespace(name="", private_key_data=b"{}"), Secret("s")

    async def keys(*_: str) -> dict[str, object]:
        return {}

    one = key(create_key=create_key, keys=keys)
    one.create = lambda: create_key("")  # type: ignore[method-assign]
    with pytest.raises(
        StepFailed, match=rf"did not answer the request to create a key of {ACCOUNT} .*not name"
    ):
        of(one.do)
    assert one.attempt.may_exist
