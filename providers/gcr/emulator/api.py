"""The description of a Google API: named methods with protobuf messages, served over gRPC and REST."""

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

    `render` and `refusal` create the JSON and the errors of an older version of the API, if they differ.
    """

    verb: str
    path: str
    render: RenderJson | None = None
    refusal: Callable[[CloudError], CloudError] | None = None


@dataclass(frozen=True)
class Rpc:
    """One method. `grpc_service` is its protobuf service; `changes` is whether it can change something."""

    grpc_service: str
    method: str
    request: Any
    handler: Handler
    http: tuple[Http, ...] = ()
    changes: bool = False


@dataclass(frozen=True)
class Api:
    """One API: its short name in log and faults, the service in tokens' audiences, and its methods."""

    name: str
    service: str
    rpcs: tuple[Rpc, ...]
    older_errors: bool = False
    """Whether REST errors also have the list `errors` of Google's older JSON APIs if the client asks with
    `prettyPrint=false`, like Google's Go client. IAM does so in all recordings.
    """


async def answer(api: Api, rpc: Rpc, tokens: Tokens, authorization: str, request: Any) -> Any:
    """Authenticate and answer one call.

    Raises:
        CloudError: it is refused.
    """
    caller = tokens.authenticate(authorization, api.service)
    tokens.check_front_end(api.service)
    return await rpc.handler(caller, request)


def message_class(wrapper: Any) -> Any:
    """The protobuf class under a proto-plus one."""
    return wrapper.meta.pb
