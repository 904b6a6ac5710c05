"""What a Google API is here: named methods over protobuf messages, told once, served over gRPC and REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from providers.gcr.emulator.access import Caller
from providers.gcr.emulator.errors import CloudError
from providers.gcr.emulator.oauth import Tokens

Handler = Callable[[Caller, Any], Awaitable[Any]]
"""Answers one request message with one response message, or raises `CloudError`."""
RenderJson = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True)
class Http:
    """One REST form of a method, written as in `google.api.http`: `/v1/{name=projects/*}:getIamPolicy`.

    `render` makes the JSON of an older version of the API, where that differs from the message's own, and
    `refusal` its refusal of another.
    """

    verb: str
    path: str
    render: RenderJson | None = None
    refusal: Callable[[CloudError], CloudError] | None = None


@dataclass(frozen=True)
class Rpc:
    """One method. `grpc_service` is its protobuf service; `changes` is true for what can change something."""

    grpc_service: str
    method: str
    request: Any
    handler: Handler
    http: tuple[Http, ...] = ()
    changes: bool = False


@dataclass(frozen=True)
class Api:
    """One API: its short name in log and faults, the service that a token is for, and its methods."""

    name: str
    service: str
    rpcs: tuple[Rpc, ...]
    older_errors: bool = False
    """Whether its REST errors carry the list `errors` of Google's older JSON APIs, too, for who asks as
    Google's Go client does, with `prettyPrint=false`: so IAM's, in all recordings.
    """


async def answer(api: Api, rpc: Rpc, tokens: Tokens, authorization: str, request: Any) -> Any:
    """Authenticate and answer one call.

    Raises:
        CloudError: it is refused.
    """
    return await rpc.handler(tokens.authenticate(authorization, api.service), request)


def message_class(wrapper: Any) -> Any:
    """The protobuf class under a proto-plus one."""
    return wrapper.meta.pb
