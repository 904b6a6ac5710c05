"""A plugin that raises what pullkey does not expect: the message names it, with whom to report it to."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootstrap.fleet.planner import Action, Planner
from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError
from bootstrap.plugin import entry_points
from bootstrap.plugin.errors import as_user_error
from providers.gcr.policy import has as built_in
from tests.harness.plugins import imported_from, install

FAILS = "def read(answer):\n    return answer['id']\n"


def _shown(act: Any, *arguments: Any) -> PullkeyError:
    with pytest.raises((KeyError, TypeError, AttributeError)) as caught:
        act(*arguments)
    return as_user_error(caught.value)


def test_it_is_named_with_its_distribution(tmp_path: Path) -> None:
    install(tmp_path, "harp", FAILS)
    with imported_from(tmp_path):
        shown = _shown(importlib.import_module("harp_plugin").read, {})

    assert shown.what == "The provider 'harp' of acme-harp 1.0 failed (KeyError)"
    assert shown.fix.endswith("report what it shows to the authors of acme-harp 1.0.")
    assert shown.code is Code.UNEXPECTED


def test_so_is_one_that_has_called_what_fails(tmp_path: Path) -> None:
    install(tmp_path, "harp", "import json\ndef read(answer):\n    return json.loads(answer)\n")
    with imported_from(tmp_path):
        shown = _shown(importlib.import_module("harp_plugin").read, None)

    assert "'harp' of acme-harp 1.0" in shown.what


def test_of_a_package_each_module_counts(tmp_path: Path) -> None:
    install(tmp_path, "harp", None, entry="acme_harp.provider:provider")
    (tmp_path / "acme_harp").mkdir()
    (tmp_path / "acme_harp" / "__init__.py").touch()
    (tmp_path / "acme_harp" / "client.py").write_text(f"class Session: ...\n{FAILS}")
    with imported_from(tmp_path):
        client = importlib.import_module("acme_harp.client")
        shown = _shown(client.read, {})
        assert entry_points.name_of(client.Session()) == "harp"

    assert "'harp' of acme-harp 1.0" in shown.what


def test_an_entry_point_that_is_malformed_names_nothing(tmp_path: Path) -> None:
    install(tmp_path, "harp", FAILS, entry="harp plugin")
    with imported_from(tmp_path):
        shown = _shown(importlib.import_module("harp_plugin").read, {})
        assert entry_points.name_of(shown) == "bootstrap"

    assert shown.what == "Something that pullkey does not expect went wrong (KeyError)"


def test_pullkeys_own_are_as_before() -> None:
    shown = _shown(built_in, None, "role", "email")
    assert shown.what.startswith("Something that pullkey does not expect went wrong (")
    assert shown.fix == "Run it again with --verbose, and report what it shows."


def test_the_other_targets_of_a_file_are_planned(tmp_path: Path) -> None:
    install(tmp_path, "harp", FAILS)
    with imported_from(tmp_path):
        plugin = importlib.import_module("harp_plugin")

        async def held(_: Any) -> None:
            plugin.read({})

        workspace: Any = SimpleNamespace(held=held)
        entry: Any = SimpleNamespace(provider=object(), remove=False)
        planned = asyncio.run(Planner(workspace).at(entry))

    assert planned.action is Action.BLOCKED
    assert planned.reasons == ["The provider 'harp' of acme-harp 1.0 failed (KeyError)"]
