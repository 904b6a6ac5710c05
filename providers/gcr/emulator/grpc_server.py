"""The APIs over gRPC with TLS, on one port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

import grpc

from bootstrap.sandbox.calls import PADDING, Call, CallGate
from bootstrap.sandbox.faults import Fault
from bootstrap.sandbox.tls import ServerCertificate
from providers.gcr.emulator.api import Api, Rpc, answer
from providers.gcr.emulator.errors import HTTP_STATUS, CloudError, code_of_status, quota_failure, retry_info
from providers.gcr.emulator.oauth import Tokens

_FOREVER: Final = 3600
_NOT_PROTOBUF: Final = b"\xff\xff\xff\xff"
_UNDOCUMENTED: Final = 20_000


class GrpcServer:
    """A gRPC server for several APIs."""

    def __init__(self, apis: Iterable[Api], tokens: Tokens, gate: CallGate) -> None:
        self._tokens = tokens
        self._gate = gate
        self._server = grpc.aio.server()
        services: dict[str, dict[str, Any]] = {}
        for api in apis:
            for rpc in api.rpcs:
                services.setdefault(rpc.grpc_service, {})[rpc.method] = self._method(api, rpc)
        self._server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items())
        )

    async def start(self, certificate: ServerCertificate) -> int:
        """Listen on a free loopback port; return the port."""
        credentials = grpc.ssl_server_credentials([(certificate.private_key, certificate.certificate)])
        port = self._server.add_secure_port("127.0.0.1:0", credentials)
        await self._server.start()
        return int(port)

    async def stop(self) -> None:
        await self._server.stop(grace=0.2)

    def _method(self, api: Api, rpc: Rpc) -> Any:
        async def serve(request: Any, context: Any) -> Any:
            metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            agent = metadata.get("user-agent", "")
            async with self._gate.call(
                api.name, rpc.method, _subject(request), changes=rpc.changes, client=agent
            ) as (call, fault):
                try:
                    response = await self._respond(
                        api, rpc, request, metadata.get("authorization", ""), fault
                    )
                except CloudError as error:
                    call.status = error.http_status
                    await _abort(context, error)
                except Exception:
                    call.status = HTTP_STATUS["INTERNAL"]
                    raise
                return _done(call, response)

        return grpc.unary_unary_rpc_method_handler(
            serve,
            request_deserializer=rpc.request.FromString,
            response_serializer=lambda it: it if isinstance(it, bytes) else it.SerializeToString(),
        )

    async def _respond(
        self, api: Api, rpc: Rpc, request: Any, authorization: str, fault: Fault | None
    ) -> Any:
        """Answer a call, with its fault if any.

        For a gRPC client a broken connection is UNAVAILABLE, whether or not the call was carried out.
        """
        match fault:
            case Fault(kind="status"):
                raise _asked_for(fault)
            case Fault(kind="reset"):
                raise CloudError("UNAVAILABLE", "Socket closed")
            case Fault(kind="hang"):
                await asyncio.sleep(_FOREVER)
            case Fault(kind="html" | "loop"):
                # A gRPC client's error for an answer that is not gRPC.
                raise CloudError("UNKNOWN", "Received http2 header with status: 302")
        response = await self._answered(api, rpc, request, authorization, fault)
        match fault:
            case Fault(kind="lost" | "cut"):
                raise CloudError("UNAVAILABLE", "Socket closed")
            case Fault(kind="hang-after"):
                await asyncio.sleep(_FOREVER)
            case Fault(kind="slow"):
                await asyncio.sleep(fault.seconds)
            case Fault(kind="malformed"):
                return _NOT_PROTOBUF
            case Fault(kind="empty" | "types" | "unknown" | "huge" | "charset"):
                return _altered(response, fault.kind)
        return response

    async def _answered(
        self, api: Api, rpc: Rpc, request: Any, authorization: str, fault: Fault | None
    ) -> Any:
        """The answer of a replica, which may be outdated for a read."""
        try:
            now: Any = await answer(api, rpc, self._tokens, authorization, request)
        except CloudError as error:
            now = error
        if not rpc.changes:
            asked = (api.name, rpc.method, request.SerializeToString().hex(), self._gate.login(authorization))
            now = self._gate.lagging(asked, now, stale=fault is not None and fault.kind == "stale")
        if isinstance(now, CloudError):
            raise now
        return now


def _altered(response: Any, kind: str) -> bytes:
    """Alter an answer as no client expects it."""
    whole: bytes = response.SerializeToString()
    match kind:
        case "empty":
            return b""
        case "types":
            # A number instead of a text, list or message. Fields with an unexpected wire type are skipped.
            return b"".join(_tag(one.number, 0) + b"\x01" for one in response.DESCRIPTOR.fields)
        case "unknown":
            return whole + _text(_UNDOCUMENTED, b"and more")
        case "huge":
            return whole + _text(_UNDOCUMENTED, b" " * PADDING)
    texts = [one.number for one in response.DESCRIPTOR.fields if one.type == one.TYPE_STRING]
    return whole + b"".join(_text(number, b"\xff\xfe\xfd") for number in texts)


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _text(number: int, content: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _done(call: Call, response: Any) -> Any:
    call.status = HTTP_STATUS["OK"]
    return response


async def _abort(context: Any, error: CloudError) -> None:
    details = (("grpc-status-details-bin", error.status().SerializeToString()),)
    await context.abort(grpc.StatusCode[error.code], error.message, details)


def _asked_for(fault: Fault) -> CloudError:
    code = fault.code if fault.code in HTTP_STATUS else code_of_status(fault.status)
    details = [retry_info(fault.retry_after)] if fault.retry_after is not None else []
    if code == "RESOURCE_EXHAUSTED":
        details.append(quota_failure(fault.message))
    return CloudError(code, fault.message, *details)


def _subject(request: Any) -> str:
    """The resource of a call for the log: the request's resource name."""
    fields = request.DESCRIPTOR.fields_by_name
    for name in ("name", "resource", "parent"):
        if name in fields:
            return str(getattr(request, name))
    return str(request.service_account.name) if "service_account" in fields else ""
