"""The language in which the sandbox is asked to fail."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.sandbox.faults import PLAIN_KINDS, Fault, FaultPlan, FaultSyntaxError


def test_status_with_its_options() -> None:
    fault = Fault.parse("graph.*=429;retry-after=7;code=TooManyRequests*3")
    assert (fault.pattern, fault.kind, fault.status) == ("graph.*", "status", 429)
    assert (fault.retry_after, fault.code, fault.times) == (7.0, "TooManyRequests", 3)


def test_slow_has_seconds() -> None:
    fault = Fault.parse("iam.GetServiceAccount=slow=0.5")
    assert (fault.kind, fault.seconds, fault.times) == ("slow", 0.5, 1)


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "iam.X",
        "=503",
        "iam.X=",
        "iam.X=200",
        "iam.X=600",
        "iam.X=explode",
        "iam.X=slow=soon",
        "iam.X=503*often",
        "iam.X=503;retry-after=soon",
        "iam.X=503;colour=red",
        "iam. X=503",
        "iam.X#0=503",
        "iam.X#=503",
        "iam.X#two=503",
        "iam.X=503;chance=often",
        "iam.X=429;above=600",
        "iam.X=429;above=0/60",
        "iam.X=429;above=600/0",
        "iam.X=429;above=600/minute",
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_the_text_in_it(spec: str) -> None:
    with pytest.raises(FaultSyntaxError) as raised:
        FaultPlan.parse(["iam.Y=503", spec])
    assert repr(spec) in str(raised.value)
    assert "\n" not in str(raised.value)


@given(
    pattern=st.from_regex(r"\A[a-z]{1,8}\.[A-Za-z*]{1,12}\Z"),
    kind=st.sampled_from(PLAIN_KINDS),
    times=st.integers(1, 50),
)
def test_hits_as_often_as_asked_and_no_more(pattern: str, kind: str, times: int) -> None:
    plan = FaultPlan.parse([f"{pattern}={kind}*{times}"])
    api, _, method = pattern.replace("*", "x").partition(".")
    taken = [plan.take(api.upper(), method.lower()) for _ in range(times + 2)]
    assert [fault is not None for fault in taken] == [True] * times + [False, False]
    assert taken[0] is not None
    assert taken[0].kind == kind


def test_forever_never_ends() -> None:
    plan = FaultPlan.parse(["akka.*=503*forever"])
    assert all(plan.take("akka", "version") for _ in range(1000))


def test_a_number_says_with_which_call_it_begins() -> None:
    plan = FaultPlan.parse(["iam.Get#3=503*2"])
    assert [plan.take("iam", "Get") is not None for _ in range(6)] == [False, False, True, True, False, False]


def test_a_chance_hits_some_calls_and_the_same_ones_each_time() -> None:
    first, second = (
        [plan.take("registry", "GetToken") is not None for _ in range(200)]
        for plan in [FaultPlan.parse(["registry.GetToken=401;chance=0.5*forever"]) for _ in range(2)]
    )
    assert first == second
    assert 60 < sum(first) < 140


def test_first_that_fits_is_taken() -> None:
    plan = FaultPlan.parse(["iam.*=500", "iam.Get=404"])
    assert [fault.status for _ in range(3) if (fault := plan.take("iam", "Get"))] == [500, 404]
    assert plan.take("graph", "Get") is None


@given(st.text())
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    with contextlib.suppress(FaultSyntaxError):
        Fault.parse(text)


def test_a_quota_refuses_what_is_above_it_until_its_time_has_passed() -> None:
    plan = FaultPlan.parse(["iam.Create*=429;above=2/60*forever"])
    at = [0.0, 1.0, 2.0, 59.0, 60.0, 60.5, 61.0, 121.0]
    refused = [plan.take("iam", "CreateServiceAccountKey", now) is not None for now in at]
    assert refused == [False, False, True, True, False, True, False, False]
    assert plan.take("iam", "GetServiceAccount", 0.0) is None
