"""A login typed into an address is not repeated, whatever option it was typed for and whatever is wrong
with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.model.errors import UsageProblem

TYPED = ("https://ops:s3cretPassw0rd@reg.example", "ops:s3cretPassw0rd@reg.example")
OPTIONS = [
    ("onboard", "docker-hub", "--image=acme/x", "--hub-user"),
    ("onboard", "docker-hub", "--image=acme/x", "--organization"),
    ("onboard", "docker-hub", "--image=acme/x", "--secret-name"),
    ("onboard", "acr", "--registry=acmeshop", "--app-id"),
    ("onboard", "gcr", "--server=us-docker.pkg.dev", "--gcp-project"),
    ("onboard", "gcr", "--server=us-docker.pkg.dev", "--gcp-project=acme-shop", "--service-account"),
    ("onboard", "gcr", "--server=us-docker.pkg.dev", "--gcp-project=acme-shop", "--role"),
    ("plan", "--file"),
    ("plan", "--file=x.yaml", "--save"),
]


@pytest.mark.parametrize("typed", TYPED)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join((*options[:2], options[-1])))
def test_no_error_repeats_it(tmp_path: Path, options: tuple[str, ...], typed: str) -> None:
    *before, option = options
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", *before, f"{option}={typed}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "s3cret" not in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize(
    "typed",
    [
        "shop/checkout:1.0@sha256:12",
        "puller@acme.iam.gserviceaccount.com",
        "/home/a@b/r.yaml:2:3:",
        "ops@example.com: no",
    ],
)
def test_what_is_no_login_stays(typed: str) -> None:
    assert typed in UsageProblem(f"--image: '{typed}' is none").what
