"""The sandbox: Google, Azure, registries and an `akka` command, all on loopback, all made up.

`bootstrap` hosts it (this package); what a cloud answers lives beside that cloud's client code, in
`providers/<name>/emulator`.
Where the sandbox differs from the real cloud, the sandbox is wrong.
"""
