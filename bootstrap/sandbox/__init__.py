"""The sandbox: local emulators of Google, Azure, registries and the `akka` command, on loopback.

This package hosts the emulators; the emulator of a cloud is in `providers/<name>/emulator`. Any difference
from the real cloud is a bug of the sandbox.
"""
