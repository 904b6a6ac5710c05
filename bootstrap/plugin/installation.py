"""Find the command that installs the libraries of an extra into this installation of pullkey.

Installers leave `direct_url.json` unless the source is a package index (PEP 610), and `pipx_metadata.json` or
`uv-receipt.toml` in the environment's folder. An installation from an index does not record which index, and
on another index the name may belong to someone else: the command then names the libraries instead.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")
_ALL = "all"


def install_command(extra: str) -> str:
    """The command that adds the libraries of an extra to this installation and keeps its other extras."""
    copy = distribution("pullkey")
    wanted = sorted({extra, *_installed_extras(copy)})
    source, editable = _source(copy, wanted)
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        if not source:
            return _join("pipx", "inject", prefix.name, *_requirements(copy, extra))
        return _join("pipx", "install", "--force", *editable, source)
    if (prefix / "uv-receipt.toml").exists() and source:
        return _join("uv", "tool", "install", "--force", *editable, source)
    what = [*editable, source] if source else _requirements(copy, extra)
    if (copy.read_text("INSTALLER") or "").strip() == "uv":
        return _join("uv", "pip", "install", "--python", sys.executable, *what)
    return _join(sys.executable, "-m", "pip", "install", *what)


def _join(*words: str) -> str:
    return shlex.join(words)


@dataclass(frozen=True)
class Origin:
    """What a distribution was installed from, if not from a package index.

    Attributes:
        folder: a folder or file of this machine; None if it was an address.
        editable: whether the installation follows the folder.
        address: a URL as pip takes it, such as `git+https://...@REVISION`, without a login.
    """

    folder: Path | None = None
    editable: bool = False
    address: str = ""

    def __str__(self) -> str:
        return str(self.folder or self.address)


def origin_of(copy: Distribution) -> Origin | None:
    """What a distribution was installed from; None if from a package index, or unknown."""
    try:
        origin = json.loads(copy.read_text("direct_url.json") or "{}")
        url = urlsplit(origin.get("url", ""))
    except (ValueError, AttributeError):
        return None
    if url.scheme == "file":
        return Origin(Path(url2pathname(url.path)), bool(origin.get("dir_info", {}).get("editable")))
    if not url.scheme:
        return None
    # Remove a login from the address.
    bare = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
    vcs = origin.get("vcs_info", {})
    if vcs:
        revision = vcs.get("requested_revision") or vcs.get("commit_id")
        bare = f"{vcs.get('vcs', 'git')}+{bare}{f'@{revision}' if revision else ''}"
    folder = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
    return Origin(address=f"{bare}{folder}")


def _source(copy: Distribution, extras: Iterable[str]) -> tuple[str, list[str]]:
    """The source of this installation, with extras, as an installer's argument; "" if unknown or deleted.

    The second value is the option for an editable installation, if it is one.
    """
    origin, names = origin_of(copy), f"[{','.join(extras)}]"
    if origin is None:
        return "", []
    if origin.folder is None:
        return f"pullkey{names} @ {origin.address}", []
    if not origin.folder.exists():
        return "", []
    return f"{origin.folder}{names}", ["--editable"] if origin.editable else []


def _requirements(copy: Distribution, extra: str) -> list[str]:
    """The requirements of an extra, as an installer's arguments."""
    return [
        one.partition(";")[0].strip()
        for one in copy.requires or ()
        if (found := _EXTRA.search(one)) and found[1] == extra
    ]


def _installed_extras(copy: Distribution) -> list[str]:
    """The extras whose libraries are all installed, except `all`, which combines the others."""
    extras = copy.metadata.get_all("Provides-Extra") or []
    return [one for one in extras if one != _ALL and all(map(_is_there, _requirements(copy, one)))]


def _is_there(requirement: str) -> bool:
    name = _NAME.match(requirement)
    try:
        distribution(name[0] if name else requirement)
    except PackageNotFoundError:
        return False
    return True
