"""A policy in a file of its own, and that of a file of registries, as it is now."""

from __future__ import annotations

from pathlib import Path

from bootstrap.files.input_file import read_file
from bootstrap.fleet import messages
from bootstrap.fleet.fault import Fault
from bootstrap.fleet.policy import Policy
from bootstrap.fleet.registries import InvalidFile
from bootstrap.fleet.validation import Group, policy_in, shape_of_policy
from bootstrap.fleet.yaml_nodes import Node, NotReadable, decode, read

_MOST_BYTES = 20_000_000


def load_policy(path: Path) -> Policy:
    """Read a file that has `version` and `policy`, and nothing else.

    Raises:
        UsageProblem: it cannot be opened.
        InvalidFile: it is not valid; the error has all of its mistakes.
    """
    root, faults = _root_of(path)
    group, of_shape = shape_of_policy(root)
    if faults or of_shape:
        raise InvalidFile(str(path), [*faults, *of_shape])
    return _policy(group, path)


def policy_of_registries(path: Path) -> Policy:
    """Read only the policy of a file, whatever else it has.

    Raises:
        UsageProblem: it cannot be opened.
        InvalidFile: it, or its policy, is not valid.
    """
    root, _ = _root_of(path)
    group, faults = policy_in(root)
    if faults:
        raise InvalidFile(str(path), faults)
    return _policy(group, path)


def _policy(group: Group, path: Path) -> Policy:
    return Policy.of({name: one.value for name, one in group.values.items()}, str(path))


def _root_of(path: Path) -> tuple[Node, list[Fault]]:
    try:
        return read(decode(read_file(path, _MOST_BYTES)))
    except OSError as error:
        raise messages.policy_unreadable(path, error.strerror) from None
    except NotReadable as error:
        raise InvalidFile(str(path), [error.fault]) from None
