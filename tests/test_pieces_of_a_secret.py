"""What is looked for in a text is what a search for every piece of every form would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model.secret_pieces import SecretPieces

SIZE = 6
LETTERS = st.text(alphabet="ab", max_size=14)


def found(text: str, pieces: dict[int, set[str]]) -> set[tuple[int, int]]:
    return {
        (at, size)
        for size, of_size in pieces.items()
        for at in range(len(text) - size + 1)
        if text[at : at + size] in of_size
    }


def every(forms: list[str]) -> dict[int, set[str]]:
    pieces: dict[int, set[str]] = {}
    for form in filter(None, forms):
        size = min(SIZE, len(form))
        pieces.setdefault(size, set()).update(form[at : at + size] for at in range(len(form) - size + 1))
    return pieces


@given(st.text(alphabet="ab", max_size=30), st.lists(LETTERS, max_size=4))
def test_nothing_is_passed_over_and_nothing_else_found(text: str, forms: list[str]) -> None:
    assert found(text, SecretPieces(forms, SIZE).to_look_for(text)) == found(text, every(forms))


@given(st.text(alphabet="ab", max_size=30), st.lists(LETTERS, max_size=4))
def test_bytes_are_searched_as_characters_are(text: str, forms: list[str]) -> None:
    as_bytes = SecretPieces([form.encode() for form in forms], SIZE).to_look_for(text.encode())
    assert {size: {one.decode() for one in of} for size, of in as_bytes.items()} == SecretPieces(
        forms, SIZE
    ).to_look_for(text)


def test_an_empty_form_is_none() -> None:
    assert SecretPieces([""], SIZE).to_look_for("some text") == {}
    assert SecretPieces([b""], SIZE).to_look_for(b"some text") == {}
