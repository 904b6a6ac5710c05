"""Modules that wait until they are used: whatever is asked of one, it answers as if it had been imported
at once.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

FILES = {
    "parcel/__init__.py": "print('parcel runs')\nfrom parcel.inner import VALUE\nOTHER = 'other'\n",
    "parcel/inner.py": "print('inner runs')\nVALUE = 'value'\n",
    "parcel/second.py": "print('second runs')\nfrom parcel import inner\n",
    "user.py": "import parcel.inner\nfrom parcel import second\n",
}


Says = Callable[[str], list[str]]


@pytest.fixture
def says(tmp_path: Path) -> Says:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(code: str) -> list[str]:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from bootstrap.model.deferred_import import defer\n" + textwrap.dedent(code),
            ],
            env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


CASES = {
    "nothing runs before it is used": (
        "defer('parcel'); import parcel; from parcel import inner; print(inner.VALUE)",
        ["inner runs", "value"],
    ),
    "a name of the package runs it": (
        "defer('parcel'); from parcel import OTHER; print(OTHER)",
        ["parcel runs", "inner runs", "other"],
    ),
    "a module of the package does not": (
        "defer('parcel'); import user; print('imported'); import parcel; print(parcel.OTHER)",
        ["inner runs", "second runs", "imported", "parcel runs", "other"],
    ),
    "a package has the modules that were imported before it": (
        (
            "defer('parcel'); import parcel.second; from parcel import OTHER; import parcel; "
            "print(parcel.second.inner.VALUE)"
        ),
        ["second runs", "inner runs", "parcel runs", "value"],
    ),
    "what its own package imports stays": (
        "defer('parcel.inner'); print('deferred'); import parcel; print(parcel.inner.VALUE)",
        ["parcel runs", "inner runs", "deferred", "value"],
    ),
    "a module waits in its package": (
        "defer('parcel.second'); from parcel import second; print('imported'); print(second.inner.VALUE)",
        ["parcel runs", "inner runs", "imported", "second runs", "value"],
    ),
    "each name is the same object": (
        """
        defer('parcel')
        import parcel as early
        early.OTHER
        import parcel as late
        print(early is late, early.OTHER is late.OTHER, late.__name__)
        """,
        ["parcel runs", "inner runs", "False True parcel"],
    ),
    "what is not there is an AttributeError": (
        "defer('parcel'); import parcel; print(hasattr(parcel, 'missing'))",
        ["parcel runs", "inner runs", "False"],
    ),
    "what is not installed is an ImportError as ever": (
        """
        defer('no_such_package', 'no_such_package.part', 'parcel.missing')
        try: import no_such_package.part
        except ModuleNotFoundError as error: print(error.name)
        """,
        ["parcel runs", "inner runs", "no_such_package"],
    ),
    "what is imported already stays": (
        "import json; defer('json'); import sys; print(sys.modules['json'] is json, type(json).__name__)",
        ["True module"],
    ),
    "threads run it once": (
        """
        import threading
        defer('parcel')
        import parcel
        threads = [threading.Thread(target=lambda: parcel.OTHER) for _ in range(20)]
        for one in threads: one.start()
        for one in threads: one.join()
        print(parcel.OTHER)
        """,
        ["parcel runs", "inner runs", "other"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_deferred_module_is_as_an_imported_one(name: str, says: Says) -> None:
    code, expected = CASES[name]
    assert says(code) == expected
