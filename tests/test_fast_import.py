"""Modules and classes that wait until they are used: whatever is asked of one, it answers as if it had been
imported at once.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap.testing.harness.credential_life import KINDS
from bootstrap.testing.harness.world import make_world

FILES = {
    "parcel/__init__.py": "print('parcel runs')\nfrom parcel.inner import VALUE\nOTHER = 'other'\n",
    "parcel/inner.py": "print('inner runs')\nVALUE = 'value'\n",
    "parcel/second.py": "print('second runs')\nfrom parcel import inner\n",
    "user.py": "import parcel.inner\nfrom parcel import second\n",
    "shop/__init__.py": "from shop.goods import Apple, Pear\nclass Till: pass\n",
    "shop/goods.py": (
        "print('goods run')\n"
        "class Apple:\n"
        "    colour = 'red'\n"
        "    def __init__(self, weight): self.weight = weight\n"
        "class Pear: pass\n"
    ),
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
                "from bootstrap.model.deferred_import import defer, defer_classes\n" + textwrap.dedent(code),
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
    "a name comes from its source without the package": (
        """
        defer('parcel', sources={'VALUE': 'parcel.inner'})
        from parcel import VALUE
        print(VALUE)
        from parcel import OTHER, VALUE as same
        print(OTHER, same is VALUE)
        """,
        ["inner runs", "value", "parcel runs", "other True"],
    ),
    "a name that is not in its source comes from the package": (
        "defer('parcel', sources={'OTHER': 'parcel.inner'}); from parcel import OTHER; print(OTHER)",
        ["inner runs", "parcel runs", "other"],
    ),
    "a name whose source is missing is an ImportError": (
        """
        defer('parcel', sources={'OTHER': 'parcel.missing'})
        try: from parcel import OTHER
        except ImportError as error: print(error.name)
        """,
        ["parcel.missing"],
    ),
    "a class waits, with its module, while others import it": (
        """
        import typing
        defer_classes('shop.goods')
        from shop import Apple, Till
        print(typing.Optional[Apple] is not None, Till.__name__)
        """,
        ["True Till"],
    ),
    "an object of a deferred class is one of the real class": (
        """
        defer_classes('shop.goods')
        from shop import Apple
        one = Apple(3)
        import shop.goods
        print(one.weight, type(one) is shop.goods.Apple, isinstance(one, Apple), isinstance(3, Apple))
        """,
        ["goods run", "3 True True False"],
    ),
    "a deferred class has the real one's attributes": (
        "defer_classes('shop.goods'); from shop import Apple; print(Apple.colour, hasattr(Apple, 'stone'))",
        ["goods run", "red False"],
    ),
    "a subclass of a deferred class is one of the real class": (
        """
        defer_classes('shop.goods')
        from shop import Apple
        class Green(Apple): colour = 'green'
        import shop.goods
        print(Green(2).weight, Green.colour, Green.__mro__[1] is shop.goods.Apple, issubclass(Green, Apple))
        """,
        ["goods run", "2 green True True"],
    ),
    "a class of a module that is not installed is an ImportError as ever": (
        """
        defer_classes('shop.missing')
        try: from shop.missing import Thing
        except ModuleNotFoundError as error: print(error.name)
        """,
        ["shop.missing"],
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


NOT_IMPORTED = {
    "gcr": (
        "charset_normalizer.api",
        "cryptography.x509.name",
        "google.api_core.operations_v1.abstract_operations_client",
        "google.api_core.rest_streaming",
    ),
    "acr": ("aiohttp", "cryptography.hazmat.bindings._rust", "requests", "urllib3", "msal.managed_identity"),
}
"""What no onboarding needs, and the SDKs import unless they are kept from it."""


@pytest.mark.parametrize("provider", NOT_IMPORTED)
def test_what_an_onboarding_does_not_need_is_not_imported(provider: str) -> None:
    """An SDK that imports it nevertheless still works, but is slower."""
    code = (
        "import atexit, sys, types\n"
        "from bootstrap.cli import main\n"
        "ran = lambda: [name for name, one in list(sys.modules.items()) if type(one) is types.ModuleType]\n"
        "atexit.register(lambda: print('IMPORTED', *ran()))\n"
        "main()"
    )
    for world in make_world(provider):
        done = subprocess.run(
            [sys.executable, "-c", code, "onboard", provider, "--yes", *KINDS[provider].options],
            env=world.running.process_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        imported = done.stdout.rpartition("IMPORTED")[2].split()
        assert not [name for name in NOT_IMPORTED[provider] if name in imported]


@pytest.mark.parametrize("name", CASES)
def test_a_deferred_module_is_as_an_imported_one(name: str, says: Says) -> None:
    code, expected = CASES[name]
    assert says(code) == expected
