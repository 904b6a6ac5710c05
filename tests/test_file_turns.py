"""Many targets of one file: what they share fails once for all of them, and an overlap is nobody's turn."""

from __future__ import annotations

import time
from pathlib import Path

from bootstrap.testing.harness.world import World

SERVER = "europe-west1-docker.pkg.dev/acme-shop/containers"


def sharing(path: Path, count: int) -> Path:
    """Targets of one account and one repository."""
    path.write_text(
        "version: 1\ndefaults: {akka-project: shop}\ntargets:\n"
        + "".join(
            f"  - {{provider: gcr, server: {SERVER}, secret-name: s{number}}}\n" for number in range(count)
        )
    )
    return path


def test_a_grant_that_always_fails_is_tried_once_for_all_that_share_it(gcr: World, tmp_path: Path) -> None:
    file = sharing(tmp_path / "registries.yaml", 5)
    gcr.fault("artifactregistry.SetIamPolicy=409;code=ABORTED*forever")
    begin = time.monotonic()
    done = gcr.run("apply", "-f", str(file), "--yes", "--timeout", "6s", "--output", "json")
    assert done.code in (4, 6), done.text
    assert {one["result"] for one in done.json["targets"]} == {"failed"}
    first, *others = sorted(
        (one["error"]["what"] for one in done.json["targets"]), key=lambda what: "Not tried" in what
    )
    assert all(what.startswith("Not tried: ") and first in what for what in others)
    assert gcr.calls("iam.CreateServiceAccount") == 1
    assert time.monotonic() - begin < 5 * 6


def test_the_overlap_elapses_for_all_targets_together(gcr: World, tmp_path: Path) -> None:
    file = sharing(tmp_path / "registries.yaml", 4)
    assert gcr.run("apply", "-f", str(file), "--yes").code == 0
    begin = time.monotonic()
    one_by_one = ("--at-once", "1", "--at-once-per-project", "1")
    done = gcr.run("rotate", "-f", str(file), "--yes", "--overlap", "8s", *one_by_one)
    assert done.code == 0, done.text
    assert time.monotonic() - begin < 4 * 8
