"""The runbooks of a file: the same steps as of one target, each by itself, and none takes away what
another needs.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from bootstrap.testing.harness.world import Result, World
from tests.harness.command import pullkey

FILE = """version: 1
defaults: {akka-project: shop}
targets:
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers, akka-project: billing}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-other/tools}
  - {provider: acr, registry: acmeshop}
  - {provider: acr, registry: acmevault, app-name: another}
  - {provider: docker-hub, organization: acme, repository: acme/checkout, hub-user: acmeowner, login: 'env:HUB'}
  - {provider: private, server: registry.example.com, username: ops, password: 'file:nowhere'}
  - {provider: private, server: old.example.com, username: ops, password: 'file:nowhere', remove: true}
"""  # noqa: E501
CONTAINERS = "europe-west1-docker-pkg-dev-acme-shop-containers"
PRIVATE = """version: 1
targets:
  - {provider: private, server: registry.sandbox.example, username: ops, password: 'env:NOT_SET', akka-project: shop}
  - {provider: private, server: registry.sandbox.example, username: ops, password: 'env:NOT_SET', akka-project: billing}
"""  # noqa: E501
NAME = "registry-sandbox-example"


def written(world: World, tmp_path: Path, text: str, *more: str) -> str:
    file = tmp_path / "registries.yaml"
    file.write_text(text)
    before = len(world.running.sandbox.log.calls)
    done = world.run("runbook", "-f", str(file), *more)
    assert done.code == 0, done.err
    assert len(world.running.sandbox.log.calls) == before, "it calls nobody"
    return done.out


def sections(page: str) -> dict[str, str]:
    """What is written of each target, by its name."""
    parts = re.split(r"^## Make .* \((\S+)\) pullable for Akka$", page, flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def steps(section: str) -> str:
    """What stands before the undo, without the time of its writing, which an end date is counted from."""
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:]+Z", "DATE", section.partition("### Undo")[0].strip())


def undo(section: str) -> str:
    """What takes a target back, without the comments."""
    shown = section.partition("### Undo")[2]
    return "\n".join(line for line in shown.splitlines() if not line.startswith("#"))


def test_each_target_has_its_own_steps_checks_and_undo(gcr: World, tmp_path: Path) -> None:
    page = written(gcr, tmp_path, FILE)
    found = sections(page)
    assert list(found) == [
        f"shop/{CONTAINERS}",
        f"billing/{CONTAINERS}",
        "shop/europe-west1-docker-pkg-dev-acme-other-tools",
        "shop/acmeshop-azurecr-io",
        "shop/acmevault-azurecr-io",
        "shop/docker-hub-acme",
        "shop/registry-example-com",
    ]
    for name, section in found.items():
        project, secret = name.split("/")
        alone = gcr.run(
            "runbook",
            *TYPED[secret],
            "--format",
            "markdown",
            "--akka-project",
            project,
            env={"PULLKEY_GCR_GCP_PROJECT": ""},
        )
        assert alone.code == 0, alone.err
        of_one = re.sub(r"^## ", "### ", alone.out.partition("\n")[2], flags=re.MULTILINE)
        assert steps(section) == steps(of_one), name
        assert "akka docker remove-credentials" in undo(section)
    assert "shop/old-example-com is marked for removal: `pullkey offboard -f" in page


TYPED = {
    CONTAINERS: ("gcr", "--server", "europe-west1-docker.pkg.dev/acme-shop/containers"),
    "europe-west1-docker-pkg-dev-acme-other-tools": (
        "gcr",
        "--server",
        "europe-west1-docker.pkg.dev/acme-other/tools",
    ),
    "acmeshop-azurecr-io": ("acr", "--registry", "acmeshop"),
    "acmevault-azurecr-io": ("acr", "--registry", "acmevault", "--app-name", "another"),
    "docker-hub-acme": (
        "docker-hub",
        "--organization",
        "acme",
        "--repository",
        "acme/checkout",
        "--hub-user",
        "acmeowner",
        "--mint",
    ),
    "registry-example-com": ("private", "--server", "registry.example.com", "--username", "ops"),
}


def test_what_another_target_needs_is_not_taken_back(gcr: World, tmp_path: Path) -> None:
    found = sections(written(gcr, tmp_path, FILE))
    for name in (f"shop/{CONTAINERS}", f"billing/{CONTAINERS}"):
        assert "service-accounts delete" not in undo(found[name])
        assert "remove-iam-policy-binding" not in undo(found[name])
        assert "keys delete" in undo(found[name])
    assert f"# It stays: billing/{CONTAINERS} needs it too. Once none does:" in found[f"shop/{CONTAINERS}"]
    alone = undo(found["shop/europe-west1-docker-pkg-dev-acme-other-tools"])
    assert "service-accounts delete" in alone
    assert "remove-iam-policy-binding" in alone
    for name in ("acmeshop", "acmevault"):
        assert "az ad app delete" in undo(found[f"shop/{name}-azurecr-io"]), "they have an application each"
    one = sections(written(gcr, tmp_path, FILE, "--only", f"billing/{CONTAINERS}"))
    assert one == {f"billing/{CONTAINERS}": found[f"billing/{CONTAINERS}"]}, "those not chosen need it too"


def test_one_application_of_two_registries_stays(gcr: World, tmp_path: Path) -> None:
    found = sections(written(gcr, tmp_path, FILE.replace(", app-name: another", "")))
    for name in ("acmeshop", "acmevault"):
        assert "az ad app delete" not in undo(found[f"shop/{name}-azurecr-io"])
        assert "az role assignment delete" in undo(found[f"shop/{name}-azurecr-io"]), (
            "a role is on one registry"
        )


def bash(world: World, script: Path, *arguments: str, typed: str = "", **env: str) -> Result:
    done = subprocess.run(
        ["bash", script, *arguments],
        env=world.running.process_environment(PULLKEY_RUNBOOK_LOGIN="no", PULLKEY_RUNBOOK_PAUSE="0", **env),
        input=typed,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    world.said += [done.stdout, done.stderr]
    return Result(done.returncode, done.stdout, done.stderr)


def test_the_script_does_each_target_and_takes_one_back(private: World, tmp_path: Path) -> None:
    script = tmp_path / "onboard.sh"
    script.write_text(written(private, tmp_path, PRIVATE, "--format", "bash"))
    done = bash(private, script, typed="pull-in-the-sandbox\npull-in-the-sandbox\n")
    assert done.code == 0, done.text
    for project in ("shop", "billing"):
        assert private.held(NAME, project).password == "pull-in-the-sandbox"
    assert bash(private, script, "undo", f"billing/{NAME}").code == 0
    assert (NAME in private.names(), NAME in private.names("billing")) == (True, False)


def test_one_that_fails_stops_no_other_in_the_script(private: World, tmp_path: Path) -> None:
    script = tmp_path / "onboard.sh"
    script.write_text(written(private, tmp_path, PRIVATE, "--format", "bash"))
    done = bash(private, script, typed="\npull-in-the-sandbox\n")
    assert done.code == 4
    assert f"Not done: shop/{NAME}" in done.err
    assert (NAME in private.names(), NAME in private.names("billing")) == (False, True)


def test_what_the_script_does_not_know_is_an_error(private: World, tmp_path: Path) -> None:
    script = tmp_path / "onboard.sh"
    script.write_text(written(private, tmp_path, PRIVATE, "--format", "bash"))
    assert bash(private, script, "do", "shop/no-such").code == 2
    assert bash(private, script, "remove").code == 2
    assert private.names() == []


def test_a_key_that_is_named_is_of_one_registry(gcr: World, tmp_path: Path) -> None:
    """A variable that was left from undoing one must not have its key deleted with each."""
    script = tmp_path / "onboard.sh"
    script.write_text(written(gcr, tmp_path, FILE, "--format", "bash"))
    fake = tmp_path / "bin"
    fake.mkdir()
    for name in ("akka", "gcloud", "az", "curl"):
        (fake / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{tmp_path}/called"\n')
        (fake / name).chmod(0o755)
    path = f"{fake}:{gcr.running.process_environment()['PATH']}"
    bash(gcr, script, "undo", KEY_ID="0123456789abcdef", PATH=path)
    called = (tmp_path / "called").read_text()
    assert "akka docker remove-credentials" in called
    assert "0123456789abcdef" not in called
    bash(gcr, script, "undo", f"shop/{CONTAINERS}", KEY_ID="0123456789abcdef", PATH=path)
    assert (tmp_path / "called").read_text().count("keys delete 0123456789abcdef") == 1


def test_of_many_that_need_the_same_a_few_are_named(tmp_path: Path) -> None:
    """One application may serve thousands of targets: each would name all of them."""
    file = tmp_path / "registries.yaml"
    targets = [
        f"  - {{provider: acr, registry: acme{number:02}, akka-project: shop}}" for number in range(30)
    ]
    file.write_text("\n".join(["version: 1", "targets:", *targets]) + "\n")
    done = pullkey("runbook", "-f", str(file))
    assert done.returncode == 0, done.stderr
    stays = [line for line in done.stdout.splitlines() if line.startswith("# It stays: ")]
    assert len(stays) >= 30
    assert {line.count("shop/") for line in stays} == {8}
    assert all("and 21 more need it too" in line for line in stays)


OF_TWO_OWNERS = """version: 1
targets:
  - {provider: acr, registry: acmeshop, akka-project: shop, akka-owner: acme}
  - {provider: acr, registry: acmeshop, akka-project: shop, akka-owner: rival}
"""


def test_projects_of_one_name_of_two_owners_are_two_targets(acr: World, tmp_path: Path) -> None:
    """As `import --all-projects` writes them."""
    page = written(acr, tmp_path, OF_TWO_OWNERS, "--only", "acme/shop/acmeshop-azurecr-io")
    script = written(acr, tmp_path, OF_TWO_OWNERS, "--format", "bash")

    assert list(sections(page)) == ["acme/shop/acmeshop-azurecr-io"]
    assert "It stays: rival/shop/acmeshop-azurecr-io needs it too" in page
    assert "az ad app delete" not in undo(sections(page)["acme/shop/acmeshop-azurecr-io"])
    for name in ("acme/shop/acmeshop-azurecr-io", "rival/shop/acmeshop-azurecr-io"):
        assert script.count(f"= '{name}' ]") == 1
