"""Marks of single cases."""

from __future__ import annotations

from typing import Any

import pytest


def full_case(*values: object) -> Any:
    """A case that takes long enough to be left to scripts/test-full."""
    return pytest.param(*values, marks=pytest.mark.full)
