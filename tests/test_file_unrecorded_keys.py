"""The report on keys that no record names, after a file was applied: it names no key that is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.world import World

SERVER = "europe-west1-docker.pkg.dev/acme-shop/containers"


def sharing(path: Path, *names: str) -> str:
    """Targets of one account."""
    targets = [f"  - {{provider: gcr, server: {SERVER}, secret-name: {name}}}" for name in names]
    path.write_text("\n".join(["version: 1", "defaults: {akka-project: shop}", "targets:", *targets, ""]))
    return str(path)


def test_the_key_of_a_kept_target_is_not_reported_when_akka_s_list_passes_over_it(
    gcr: World, tmp_path: Path, monkeypatch: Any
) -> None:
    file = tmp_path / "registries.yaml"
    assert gcr.run("apply", "-f", sharing(file, "kept"), "--yes").code == 0
    key = KeyRef.parse(gcr.held("kept").email)
    assert key is not None
    listed = gcr.akka._listed

    def without_the_kept_one(project: Any) -> Any:
        """It is passed over as soon as the other one is there."""
        rows = listed(project)
        there = {row.name for row in rows}
        return [row for row in rows if row.name != "kept" or "added" not in there]

    monkeypatch.setattr(gcr.akka, "_listed", without_the_kept_one)

    done = gcr.run("apply", "-f", sharing(file, "kept", "added"), "--yes")

    assert done.code == 0, done.text
    assert key.key_id not in done.text
