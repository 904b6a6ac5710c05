"""Marks of single cases."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.testing.harness.credential_life import KINDS

ALIKE = {"docker-hub-organization", "gcr-upload", "gitlab-group"}
"""Kinds that share all but one step with another: scripts/test-full runs each test with these, too."""


def full_case(*values: object) -> Any:
    """A case that takes long enough to be left to scripts/test-full."""
    return pytest.param(*values, marks=pytest.mark.full)


def each_kind() -> list[Any]:
    """The kinds of credentials; in most runs only those that differ."""
    return [full_case(kind) if kind in ALIKE else kind for kind in KINDS]
