"""The state directory decides what is deleted: nothing in it is believed that somebody else could have
written.
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootstrap.engine import journal as journals
from bootstrap.engine.errors import TargetBusy
from bootstrap.engine.journal import Journal
from bootstrap.files.private_directory import PrivateDirectory, UnsafePlace
from bootstrap.model.errors import UsageProblem
from bootstrap.model.settings import state_directory
from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.kill_points import Point, scene
from bootstrap.testing.harness.world import World

STRANGER = 65_534


def _as_stranger(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(path, STRANGER, STRANGER)


def _open_to_all(path: Path) -> None:
    path.chmod(0o777)


def _open_to_group(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can name another group")
    os.chown(path, 0, STRANGER)
    path.chmod(0o770)


@pytest.mark.parametrize("spoil", [_as_stranger, _open_to_all, _open_to_group])
@pytest.mark.parametrize("which", ["parent", "state", "journal"])
def test_where_somebody_else_may_write_nothing_is_read_or_written(
    tmp_path: Path, which: str, spoil: Callable[[Path], None]
) -> None:
    place = tmp_path / "parent" / "state"
    journal = Journal(place, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        journal.about_to("key", {})
    path = {"parent": place.parent, "state": place, "journal": place / "journal"}[which]
    spoil(path)
    found = path.stat()
    with pytest.raises(UnsafePlace) as refused, journal.locked():
        pass
    assert refused.value.exit_code == 2
    owner = "nobody" if found.st_uid == STRANGER else "root" if found.st_uid == 0 else ""
    assert f"{path} (owner {owner}" in refused.value.what
    assert f"mode {stat.S_IMODE(found.st_mode):04o}" in refused.value.what
    assert "PULLKEY_STATE_DIR" in refused.value.fix
    with pytest.raises(UnsafePlace):
        Journal(place, "a place", "gcr gcr.io").left_behind()
    (told,) = Journal.all_left_behind(place)
    assert isinstance(told, UnsafePlace)


def test_a_directory_as_tmp_is_passed_and_its_neighbours_are_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    journal = Journal(tmp_path / "state", "a place", "gcr gcr.io")
    with journal.locked():
        pass
    _as_stranger(tmp_path / "state")
    with pytest.raises(UnsafePlace), journal.locked():
        pass


def test_whatever_the_umask_what_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = Journal(tmp_path / "a" / "b" / "state", "a place", "gcr gcr.io")
        with journal.locked():
            journal.begin("0123456789ab", "pullkey onboard gcr")
            journal.about_to("identity", {})
    finally:
        os.umask(before)
    for path in (tmp_path / "a").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0


def test_a_link_of_ones_own_leads_on_and_a_strangers_does_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    with Journal(link / "state", "a place", "").locked():
        pass
    assert (tmp_path / "real" / "state" / "journal").is_dir()
    if os.geteuid() == 0:
        os.lchown(link, STRANGER, STRANGER)
        with pytest.raises(UnsafePlace), Journal(link / "state", "a place", "").locked():
            pass


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    victim = path.parent.parent.parent / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"/proc/self/fd/{here}/{path.name}")
    os.close(here)


def _device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        os.close(os.open(path, os.O_RDONLY))
    except PermissionError:
        pytest.skip("no devices here")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [_fifo, _link, _folder, _socket, _device])
@pytest.mark.parametrize("suffix", ["json", "lock"])
def test_what_is_no_file_of_ours_neither_hangs_nor_is_followed(
    tmp_path: Path, suffix: str, make: Callable[[Path], None]
) -> None:
    journal = Journal(tmp_path / "state", "a place", "gcr gcr.io")
    with journal.locked():
        pass
    (lock,) = (tmp_path / "state" / "lock").iterdir()
    path = journal.path if suffix == "json" else lock
    path.unlink(missing_ok=True)
    make(path)

    def use() -> None:
        if suffix == "json":
            journal.left_behind()
        else:
            with journal.locked():
                pass

    with pytest.raises(UnsafePlace, match=str(path)):
        use()
    assert [one.read_text() for one in tmp_path.glob("victim")] in ([], ["precious"])


def test_a_draft_is_made_under_a_name_that_nobody_can_know(tmp_path: Path) -> None:
    place = PrivateDirectory(tmp_path / "state", "journal")
    place.write("a.json", b"one")
    seen: set[str] = set()
    real = os.replace

    def replace(source: str, *names: Any, **how: Any) -> None:
        seen.add(source)
        real(source, *names, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", replace)
        for _ in range(3):
            place.write("a.json", b"two")
    assert len(seen) == 3
    assert place.names() == ["a.json"]
    assert place.read("a.json") == b"two"


def test_what_a_killed_writer_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a place", "gcr gcr.io")
    with journal.locked():
        journal.begin("0123456789ab", "pullkey onboard gcr")
        journal.about_to("identity", {})
    file = journal.path
    file.with_name(f".{file.name}.0123456789abcdef").write_text("torn")
    with journal.locked():
        assert [*file.parent.iterdir()] == [file]
        with pytest.raises(TargetBusy), Journal(tmp_path, "a place", "").locked():
            pass


# -- the command ---------------------------------------------------------------------------------------------


def test_a_run_refuses_a_place_of_somebody_elses(gcr: World, tmp_path: Path) -> None:
    place = tmp_path / "predictable"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    done = gcr.run("onboard", "gcr", "--yes", env={"PULLKEY_STATE_DIR": str(place / "state")})
    assert done.code == 2, done.text
    assert f"{place} (owner " in done.err
    assert "mode 0777" in done.err
    assert "chmod go-w" in done.err
    assert gcr.changes() == []
    assert list(place.iterdir()) == []


def _forge(path: Path, **changed: Any) -> None:
    """What somebody who can write the file would make of it: another intent, with a checksum that is
    right.
    """
    record = json.loads(path.read_bytes())
    record.pop("sha256")
    entry = next(one for one in record["entries"] if one["step"] == "key")
    for name, value in changed.items():
        entry["intent" if name in entry["intent"] or not entry["made"] else "made"][name] = value
    entry["made"] = {**(entry["made"] or {}), "key_id": changed["key_id"]}
    path.write_text(json.dumps({**record, "sha256": journals._digest(record)}))


def _googles(world: World) -> tuple[dict[str, Any], Callable[[], bool]]:
    shop = world.cloud.state.project("acme-shop")
    email, other = next((email, one) for email, one in shop.accounts.items() if "akka" not in email)
    key = other.keys and next(iter(other.keys))
    if not key:
        key = world.cloud.state.add_key(other).key_id
    return {
        "account": f"projects/acme-shop/serviceAccounts/{email}",
        "key_id": key,
    }, lambda: key in other.keys


def _azures(world: World) -> tuple[dict[str, Any], Callable[[], bool]]:
    (other,) = world.cloud.state.applications_named("deployer")
    secret = other.secrets[0]
    forged = {"app_id": other.app_id, "object_id": other.id, "key_id": secret.key_id}
    return forged, lambda: secret in other.secrets and secret.lifetime.exists


@pytest.mark.parametrize(
    ("kind", "made", "theirs"),
    [("gcr", "iam.CreateServiceAccountKey", _googles), ("acr", "graph.AddPassword", _azures)],
)
def test_a_record_that_names_anothers_key_deletes_nothing(
    kind: str, made: str, theirs: Callable[[World], tuple[dict[str, Any], Callable[[], bool]]]
) -> None:
    with scene(fork_server(), kind, "onboard") as victim:
        world = victim.life.world
        assert victim.killed(Point(made, 1, "after"))
        (path,) = Path(world.running.environment["PULLKEY_STATE_DIR"]).rglob("*.json")
        forged, is_there = theirs(world)
        _forge(path, **forged)
        there = victim.life.there()
        done = victim.run()
        assert done.code == 3, done.text
        assert "names what is not this target's" in done.err
        assert str(path) in done.err
        assert is_there()
        assert victim.life.there() == there


# -- where it is ---------------------------------------------------------------------------------------------


def test_a_user_without_a_home_names_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container with a numeric user."""

    def no_home(*_: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv("PULLKEY_STATE_DIR", raising=False)
    monkeypatch.setattr("bootstrap.model.settings.platformdirs.user_state_path", no_home)
    with pytest.raises(UsageProblem, match="There is no home directory for the journal") as raised:
        state_directory()
    assert "PULLKEY_STATE_DIR" in raised.value.fix


def test_a_tilde_that_no_shell_has_expanded_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the `env:` of a workflow. Else a directory named `~` would be created wherever a command runs."""
    monkeypatch.setenv("PULLKEY_STATE_DIR", "~/state")
    monkeypatch.setenv("HOME", "/home/jo")
    assert state_directory() == Path("/home/jo/state")
