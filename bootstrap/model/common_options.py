"""Names and help of the options that the targets of every provider have, in commands and files."""

from __future__ import annotations

from bootstrap.model.option import Option

SCOPE = (
    Option("--akka-project", "The Akka project; else the one that the Akka CLI is set to.", metavar="NAME"),
    Option("--akka-owner", "The owner of the Akka project, where two have the same name.", metavar="NAME"),
    Option("--akka-region", "This region only; else globally.", metavar="NAME"),
    Option("--akka-context", "The configuration context of the Akka CLI.", metavar="NAME"),
)
SECRET_NAME = Option(
    "--secret-name", "The name of the Akka secret; else derived from the registry.", metavar="NAME"
)
PROOF_IMAGE = Option("--image", "An image to verify the pull with: its manifest is read.", metavar="IMAGE")
REPLACE = Option(
    "--replace", "Overwrite an Akka secret of that name that is for another registry.", kind="switch"
)
ANYWAY = Option(
    "--anyway", "Register a credential even if the registry allows anonymous pulls.", kind="switch"
)
KEEP_OLD = Option(
    "--keep-old",
    "How long the old key is kept, disabled where the cloud supports that, before a later run "
    "deletes it; 0 deletes it now.",
    kind="duration",
    default="24h",
    metavar="TIME",
)
OVERLAP = Option(
    "--overlap",
    "How long both keys stay valid once Akka shows the new one in every region, for pulls in progress.",
    kind="duration",
    default="10s",
    metavar="TIME",
)
MAX_EXPIRES_IN = Option(
    "--max-expires-in",
    "The longest expiry that is accepted for a key.",
    kind="duration",
    default="730d",
    metavar="TIME",
)
AUDIT = Option(
    "--audit",
    "Append one JSON line for each change in a cloud or in Akka to this file, to stdout (-), or to syslog "
    "(syslog:, syslog:HOST:PORT).",
    metavar="FILE",
)
_TAKEN = """
akka-context akka-owner akka-project akka-region anyway audit credential-stdin dry-run file format handover
help image keep-old max-expires-in new-key no-color no-wait output overlap provider remove replace
rotate-after sandbox secret-name timeout verbose yes
"""
TAKEN = frozenset(f"--{name}" for name in _TAKEN.split())
"""The names that a provider's own option must not have: those of the commands for a target, and of a file."""
