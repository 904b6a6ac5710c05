"""The sandbox: local emulators of Google, Azure, registries and the `akka` command, on loopback.

This package hosts it; the emulator of a cloud is beside the cloud's client code, in
`providers/<name>/emulator`.
Where the sandbox differs from the real cloud, the sandbox is wrong.
"""
