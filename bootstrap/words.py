"""Text for a person."""

from __future__ import annotations


def sentence(text: str) -> str:
    """With a full stop, unless it ends otherwise."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def one_line(text: str, limit: int = 300) -> str:
    """Text that another program or a server wrote, as one printable line of at most `limit` characters."""
    joined = " ".join(text.split())
    return "".join(character for character in joined if character.isprintable())[:limit]
