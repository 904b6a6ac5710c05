"""The mark of the run that uploaded a key, in the serial number of the key's certificate.

The certificate is public, and "Upload service account keys" asks for a generic subject and no optional
attributes. A serial number is in every certificate, at most 20 octets and positive (RFC 5280, 4.1.2.2).
Google returns an uploaded certificate as it is (turbot/steampipe-plugin-gcp#449 shows both: the same octets).

The 20 octets: 4 that say that pullkey created it, 6 of the run's Akka secret, 4 of the time by which the run
has ended, 6 of the run's id.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

from bootstrap.model import clock

_MAGIC = b"plky"  # its first bit is 0, so that the number is positive
_NO_PLACE = bytes(6)
# From the run's deadline until it has certainly registered the key or deleted it: undoing takes a minute at
# most (`engine/transaction.py`). The rest is for clocks that differ, and for lists of Akka that lag.
_AFTER_DEADLINE = dt.timedelta(minutes=10)


@dataclass(frozen=True)
class Mark:
    """What a certificate says of the run that created it.

    Attributes:
        place: a hash of the Akka secret that the key is for (`RunContext.place`); zeros if it was not known.
        ends: when the run has ended, by its own clock, in seconds since the Unix epoch.
        run: the beginning of the run's id.
    """

    place: bytes
    ends: int
    run: bytes

    @classmethod
    def of_run(cls, place: str, run_id: str, seconds: float) -> Mark:
        """The mark of a run that has so many seconds left."""
        ends = clock.now() + dt.timedelta(seconds=seconds) + _AFTER_DEADLINE
        return cls(_hashed(place), int(ends.timestamp()), bytes.fromhex(run_id)[:6])

    @property
    def serial(self) -> int:
        return int.from_bytes(_MAGIC + self.place + self.ends.to_bytes(4, "big") + self.run, "big")

    def is_of_lost_run(self, place: str) -> bool:
        """Whether it is of a run for this Akka secret that must have ended by now."""
        return bool(place) and self.place == _hashed(place) and self.ends < clock.time()


def mark_in(public_key_data: bytes) -> Mark | None:
    """The mark in a certificate in PEM; None for any other certificate or text."""
    try:
        from cryptography import x509
    except ImportError:
        return None
    try:
        serial = x509.load_pem_x509_certificate(public_key_data).serial_number
    except ValueError:
        return None
    if serial <= 0 or serial.bit_length() > 160:
        return None
    octets = serial.to_bytes(20, "big")
    if not octets.startswith(_MAGIC):
        return None
    return Mark(octets[4:10], int.from_bytes(octets[10:14], "big"), octets[14:])


def _hashed(place: str) -> bytes:
    return hashlib.sha256(f"pullkey {place}".encode()).digest()[:6] if place else _NO_PLACE
