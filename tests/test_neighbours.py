"""What others have in the same clouds and in Akka is, to the byte, what it was: after a whole life of each
kind.

`inventory` tells what there is. Here is compared all that is stored of it: policies as they would be sent,
passwords, public keys, times.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.iam.v1 import policy_pb2
from google.type import expr_pb2

from bootstrap.sandbox.akka_projects import AkkaCredential
from bootstrap.testing.harness.credential_life import Life, living
from bootstrap.testing.harness.figures import count
from providers.gcr.emulator.policy import AllowPolicy
from providers.gcr.emulator.state import generate_private_key
from tests.harness.google_state import READER
from tests.harness.marks import each_kind

PUBLIC = generate_private_key().public_key()
LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
# A policy's etag changes with each write, and so does the next number to be given; how often a thing was
# asked for is no part of it.
_NOT_OF_IT = {"etag", "checks", "requests_left", "limited_for", "numbers", "next_robot"}
_MACHINERY = {"sandbox", "now", "visible", "private_keys", "replicas"}


def picture(name: str, value: Any) -> Iterator[tuple[str, bytes]]:
    """Every object that is stored, by where it stands, with all that it says of itself."""
    match value:
        case AllowPolicy():
            stored = policy_pb2.Policy()
            stored.CopyFrom(value.read(3))
            stored.etag = b""
            yield name, stored.SerializeToString(deterministic=True)
        case Mapping():
            for key, one in value.items():
                yield from picture(f"{name}[{key}]", one)
        case list():
            for one in value:
                yield from picture(f"{name}[{_name_of(one)}]", one)
        case _ if _is_ours(value):
            own = []
            for field, one in vars(value).items():
                if field.lstrip("_") in _NOT_OF_IT | _MACHINERY:
                    continue
                if isinstance(one, Mapping | list) or _is_ours(one):
                    yield from picture(f"{name}.{field}", one)
                else:
                    own.append((field, _told(one)))
            yield name, repr(own).encode()
        case _:
            yield name, _told(value).encode()


def _is_ours(value: Any) -> bool:
    """Whether it is a thing of the sandbox's, whose fields are looked at one by one: its `repr` may leave
    some out.
    """
    return type(value).__module__.startswith(("providers.", "bootstrap.")) and hasattr(value, "__dict__")


def _name_of(value: Any) -> str:
    return next(
        (str(getattr(value, name)) for name in ("uuid", "id", "key_id", "name") if hasattr(value, name)),
        repr(value),
    )


def _told(value: Any) -> str:
    if hasattr(value, "public_numbers"):
        return repr(value.public_numbers())
    return repr(sorted(value) if isinstance(value, set) else value)


def _stored(life: Life) -> dict[str, bytes]:
    found = dict(picture("akka", life.world.akka.projects))
    return found | dict(picture("cloud", getattr(life.world.cloud, "state", {})))


async def _more(life: Life) -> None:
    """Beside what the sandbox begins with: keys, grants, conditions and passwords as near to ours as they
    can be.
    """
    state: Any = getattr(life.world.cloud, "state", None)
    theirs = AkkaCredential("https://registry.example.com", "somebody", "ops@example.com", "their password")
    for project in ("shop", "billing"):
        life.world.akka.projects[project].put_credential("somebody-else", theirs, LONG_AGO)
    match life.kind.provider:
        case "gcr":
            account = state.add_account("acme-shop", "akka-docker-reader-of-others", created=LONG_AGO)
            state.add_key(account, PUBLIC, created=LONG_AGO)
            state.add_key(account, PUBLIC, created=LONG_AGO).disabled = True
            policy = state.project("acme-shop").repositories["europe-west1", "containers"].policy
            # Of the very role, in the binding that ours is added to; and with a condition, beside it.
            policy.grant(READER, account.member, "group:readers@acme.example", since=LONG_AGO)
            until = expr_pb2.Expr(
                title="until", expression="request.time < timestamp('2031-01-01T00:00:00Z')"
            )
            policy.grant(READER, account.member, condition=until, since=LONG_AGO)
            policy.grant("roles/artifactregistry.writer", "user:dev@acme.example", since=LONG_AGO)
        case "acr":
            registry = state.registry("acmeshop")
            token = state.add_token(registry, "others", "", created=LONG_AGO)
            for slot in ("password1", "password2"):
                state.add_password(token, slot, created=LONG_AGO)
            application = state.add_application("akka-docker-reader-of-others", created=LONG_AGO)
            state.add_secret(
                application, display_name="pullkey 0123456789ab", start=LONG_AGO, created=LONG_AGO
            )
            state.add_service_principal(application, created=LONG_AGO)


@pytest.mark.parametrize("kind", each_kind())
def test_a_whole_life_changes_no_byte_of_what_others_have(kind: str) -> None:
    with living(kind) as life:
        life.world.running.call(_more(life))
        before = _stored(life)
        assert len(before) > 10

        onboarded = life.onboard()
        assert onboarded.code == 0, onboarded.text
        (name,) = set(life.world.names()) - {"somebody-else"}
        rotated = life.command("rotate", name)
        assert rotated.code == 0, rotated.text
        gone = life.command("offboard", name)
        assert gone.code == 0, gone.text

        after = _stored(life)
        changed = [where for where, was in before.items() if after.get(where) != was]
        count(
            "foreign neighbours",
            {f"objects of others beside {kind}": len(before), "of all these, changed": len(changed)},
        )
        assert changed == []
