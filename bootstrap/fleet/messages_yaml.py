"""The faults of a text that is not the supported subset of YAML, each with its place and code."""

from __future__ import annotations

from bootstrap.fleet.fault import Fault, Place, quoted

_BEGIN = Place(1, 1)


# -- the bytes and characters --------------------------------------------------------------------------------


def file_too_long(length: int, limit: int) -> Fault:
    """Both are numbers of bytes."""
    return Fault(
        _BEGIN,
        f"the file is {length / 1e6:.1f} MB; the maximum is {limit / 1e6:.0f} MB",
        "Split it: several files can be worked with one after another",
    )


def utf16() -> Fault:
    return Fault(_BEGIN, "the file is UTF-16", "Save it as UTF-8")


def not_utf8(place: Place) -> Fault:
    return Fault(place, "the file is not valid UTF-8 from here on", "Save it as UTF-8")


def unprintable(place: Place, character: str) -> Fault:
    return Fault(place, f"a character that cannot be printed ({character!a})", "Type the line again")


# -- YAML ----------------------------------------------------------------------------------------------------


def yaml_unreadable(error: Exception) -> Fault:
    """The parser failed without a place."""
    return Fault(_BEGIN, f"it cannot be read as YAML ({type(error).__name__})")


def tab(place: Place) -> Fault:
    return Fault(place, "a tab, which YAML does not take for indentation", "Indent with spaces")


def not_yaml(place: Place, problem: str) -> Fault:
    """`problem` is the parser's text, which names kinds of tokens and quotes no value."""
    return Fault(
        place,
        f"this is not valid YAML: {problem}",
        "Look at the indentation, the colons and the quotes around this line",
    )


def second_document(place: Place) -> Fault:
    return Fault(
        place, "a second document begins here", "Keep one document in a file, without `---` in between"
    )


def nested_too_deep(place: Place, deepest: int) -> Fault:
    return Fault(place, f"it is nested more than {deepest} deep")


def name_expected(place: Place) -> Fault:
    return Fault(place, "a name is expected here, and this is not a single word")


def merge_key(place: Place) -> Fault:
    return Fault(
        place,
        "a merge key (<<), which is not read here",
        "Put what is the same for all under `defaults`",
    )


def anchor_or_alias(place: Place) -> Fault:
    return Fault(
        place,
        "an anchor or alias (& or *), which is not read here",
        "Write the value out, put what is the same for all under `defaults`, or put a text "
        "that begins with & or * in quotes",
    )


def tagged(place: Place) -> Fault:
    return Fault(
        place,
        "a tag (!), which is not read here",
        "Leave it out, or put a text that begins with ! in quotes",
    )


def name_twice(place: Place, name: str, first: Place) -> Fault:
    return Fault(place, f"{quoted(name)} occurs twice; the first is in line {first.line}", "Keep one of them")
