"""What is to be pulled, and how one exchange with a registry ended."""

from __future__ import annotations
