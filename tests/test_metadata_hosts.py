"""Where a machine or its cloud answers for itself nothing is sent, however the address is spelled or got."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from bootstrap.model.credential import Credential
from bootstrap.model.errors import UsageProblem
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.metadata_hosts import is_metadata_host
from bootstrap.model.pull import Probe, Verdict
from bootstrap.model.secret import Secret
from bootstrap.registry.challenge import Challenge
from bootstrap.registry.exchange import exchange

INSIDE = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    # The same in the spellings that `inet_aton` takes
    "2852039166",
    "0xa9fea9fe",
    "0xA9FEA9FE",
    "025177524776",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "169.254.43518",
    "169.16689662",
    "0XA9.254.0251.254",
    "00000251.0376.0251.0376",
    "169.254.169.254.",
    "2852039166.",
    # IPv6, also as it holds an IPv4 address
    "[fe80::1]",
    "fe80::1%eth0",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "fd00:ec2:0:0:0:0:0:254",
    "[FD00:EC2::23]",
    "[fd20:ce::254]",
    "[::ffff:169.254.169.254]",
    "::ffff:a9fe:a9fe",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[::ffff:100.100.100.200]",
    # Names
    "metadata",
    "METADATA",
    "metadata.",
    "metadata.google.internal",
    "metadata.google.internal.",
    "Metadata.Google.Internal.",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
]
OUTSIDE = [
    "registry.example",
    "registry.example.",
    "192.0.2.1",
    "10.0.0.1",
    "127.0.0.1",
    "[2001:db8::1]",
    "[fd00::1]",
    "metadata.example.com",
    "2130706433",
    "169.253.169.254",
    "a9fea9fe",
    "",
    "[",
    "1.2.3.4.5",
    "☃",
    "0x",
    "08.1.1.1",
]


@pytest.mark.parametrize("host", INSIDE)
def test_every_spelling_is_known(host: str) -> None:
    assert is_metadata_host(host)


@pytest.mark.parametrize("host", OUTSIDE)
def test_no_registry_is_taken_for_one(host: str) -> None:
    assert not is_metadata_host(host)


@pytest.mark.parametrize("host", [one for one in INSIDE if "%" not in one])
def test_none_is_a_registry(host: str) -> None:
    for text in (host, f"https://{host}/v2/", f"{host}/shop/checkout:1.0"):
        with pytest.raises(UsageProblem):
            parse_reference(text, where="--server")


@pytest.mark.parametrize(
    "addresses",
    [["169.254.169.254"], ["fd00:ec2::254"], ["::ffff:169.254.169.254"], ["192.0.2.1", "169.254.169.254"]],
)
def test_a_token_service_whose_name_leads_there_gets_nothing(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[Any] = []

    def resolve(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        assert name == "tokens.odd.example"
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port or 443))
            for one in addresses
        ]

    async def connect(*_: Any, **__: Any) -> None:
        connected.append(_)
        raise OSError("refused")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio.BaseEventLoop, "sock_connect", connect, raising=False)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", connect)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    credential = Credential(
        "https://registry.odd.example", "ops", Secret("hunter2-hunter2"), KeyRef("a", "key123", "d")
    )
    attempt = asyncio.run(
        exchange(
            Probe("registry.odd.example", "shop/checkout", "1.0"),
            Challenge("bearer", "https://tokens.odd.example/token", "registry"),
            credential,
        )
    )
    assert attempt.verdict is Verdict.INVALID
    assert (
        "tokens.odd.example leads to an address where a machine or its cloud answers for itself"
        in attempt.detail
    )
    assert connected == []
