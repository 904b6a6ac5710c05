"""A package installed as a user would, but into a folder of the test's and without network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

from tests.harness.documents import ROOT

DEMO = ROOT / "tests" / "demo_provider"
"""The provider of the tutorial."""


def installed(package: Path, place: Path) -> Path:
    """Install a package, without what it depends on; return the folder to import it from.

    With uv or pip, whichever is there; else its wheel is built and unpacked, which is what they would do.
    """
    source, target = place / f"{package.name}-source", place / f"{package.name}-installed"
    if target.exists():
        return target
    shutil.copytree(package, source, ignore=shutil.ignore_patterns("__pycache__"))
    if shutil.which("uv"):
        installer = ["uv", "pip", "install", "--offline", "--python", sys.executable]
    elif find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install", "--no-index"]
    else:
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=source, check=True)
        (wheel,) = (source / "dist").glob("*.whl")
        zipfile.ZipFile(wheel).extractall(target)
        return target
    subprocess.run(
        [*installer, "--quiet", "--no-deps", "--no-build-isolation", "--target", target, source],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
    )
    return target
