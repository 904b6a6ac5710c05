"""RSA keys for the emulators of one test process, made once: to make one takes as long as a whole run of
the product.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

_MANY = 24
"""More than any test makes in one sandbox."""


def _in_turn() -> Iterator[rsa.RSAPrivateKey]:
    made = []
    for _ in range(_MANY):
        made.append(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        yield made[-1]
    yield from itertools.cycle(made)


class _Pool:
    def __init__(self) -> None:
        self._keys = _in_turn()
        self._lock = threading.Lock()

    def take(self, **_: int) -> rsa.RSAPrivateKey:
        with self._lock:
            return next(self._keys)


def use_a_pool(patch: pytest.MonkeyPatch) -> None:
    """Let Google's emulator and Azure's tokens take their keys from a pool."""
    pool = _Pool()
    patch.setattr("providers.gcr.emulator.state.generate_private_key", pool.take)
    patch.setattr("providers.gcr.emulator.seed.generate_private_key", pool.take)
    patch.setattr("providers.acr.emulator.tokens.generate_private_key", pool.take)
