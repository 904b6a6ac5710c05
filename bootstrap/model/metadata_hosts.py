"""Recognise the metadata services of clouds, in every spelling of their addresses.

They hand out the machine's own secrets, so pullkey connects to none of them.
"""

from __future__ import annotations

import ipaddress
import re
import socket

# From the clouds' documentation of their metadata services: Google, Amazon, Tencent.
_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata.tencentyun.com",
    }
)
# In addition to link-local addresses: Alibaba's, Azure's; and, for IPv6, Amazon's, Google's and Oracle's.
_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        ("100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::/64", "fd00:c1::/32"),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
# What `inet_aton` accepts: one to four numbers, decimal, octal or hexadecimal.
_NUMBERS = re.compile(r"(?:0x[0-9a-f]+|[0-9]+)(?:\.(?:0x[0-9a-f]+|[0-9]+)){0,3}")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_metadata_host(host: str) -> bool:
    """Whether a host is a metadata service, in any spelling of its address.

    >>> is_metadata_host("0xA9FEA9FE"), is_metadata_host("[::ffff:169.254.169.254]")
    (True, True)
    >>> is_metadata_host("registry.example")
    False
    """
    bare = host.lower().strip("[]").rstrip(".").partition("%")[0]
    address = _address(bare)
    return bare in _NAMES if address is None else is_metadata_address(address)


def is_metadata_address(address: Address) -> bool:
    """Whether an address, or the IPv4 address embedded in it, is a metadata service."""
    return any(
        one.is_link_local or any(one in network for network in _NETWORKS)
        for one in (address, _inner(address))
    )


def _address(bare: str) -> Address | None:
    if _NUMBERS.fullmatch(bare):
        try:
            return ipaddress.IPv4Address(socket.inet_aton(bare))
        except OSError:
            return None
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        return None


def _inner(address: Address) -> Address:
    """The IPv4 address embedded in an IPv6 address (RFC 4291, 3056, 6052), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or address in _COMPATIBLE:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
