"""`pullkey onboard IMAGE`, and a file in place of a provider: what an argument alone says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.model.errors import UsageProblem
from bootstrap.plugin.routing import host_of_image, providers_for
from bootstrap.testing.harness.world import NO_TARGET, World, make_world
from tests.harness.command import pullkey

GOOGLE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
AZURE = "acmeshop.azurecr.io/checkout:1.0"
HUB = "acme/checkout:1.0"
PRIVATE = "registry.sandbox.example/shop/checkout:1.0"
NAMES = {
    "gcr": "europe-west1-docker-pkg-dev-acme-shop-containers",
    "acr": "acmeshop-azurecr-io",
    "docker-hub": "docker-hub-acmebot",
    "private": "registry-sandbox-example",
}


@pytest.fixture
def hub() -> Iterator[World]:
    yield from make_world("docker-hub")


class TestTheHostDecides:
    @pytest.mark.parametrize(
        ("image", "provider"),
        [
            (GOOGLE, "gcr"),
            ("europe-docker.pkg.dev/p/r/app:1", "gcr"),
            ("docker.europe-west1.rep.pkg.dev/acme-shop/containers/app", "gcr"),
            ("gcr.io/acme-shop/app", "gcr"),
            ("EU.gcr.io/acme-shop/app", "gcr"),
            ("gcr.io", "gcr"),
            (AZURE, "acr"),
            ("acmeshop.azurecr.cn/app", "acr"),
            ("acmeshop.azurecr.us", "acr"),
            ("acmeshop.westeurope.geo.azurecr.io/app", "acr"),
            ("acmeshop.westeurope.data.azurecr.io", "acr"),
            ("acmeshop-h4sh.azurecr.io/app", "acr"),
            (HUB, "docker-hub"),
            ("acme/checkout", "docker-hub"),
            ("acme/checkout@sha256:" + "0" * 64, "docker-hub"),
            ("nginx:1.27", "docker-hub"),
            ("docker.io/acme/app", "docker-hub"),
            ("index.docker.io/acme/app", "docker-hub"),
            ("registry-1.docker.io/acme/app", "docker-hub"),
            ("https://hub.docker.com/r/acme/app", "docker-hub"),
            ("registry.example.com/team/app:1", "private"),
            ("registry.example.com", "private"),
            ("registry.example.com:5000/team/app", "private"),
            ("https://registry.example.com/v1/", "private"),
            ("localhost:5000/app", "private"),
            ("localhost/app", "private"),
            ("ghcr.io/acme/app:1", "private"),
            # Hosts that only end or begin like one of a cloud.
            ("notgcr.io/acme/app", "private"),
            ("evil-azurecr.io/app", "private"),
            ("gcr.io.example.com/acme/app", "private"),
            ("docker.io.example.com/acme/app", "private"),
        ],
    )
    def test_one_provider(self, image: str, provider: str) -> None:
        assert [one.name for one in providers_for(host_of_image(image).partition(":")[0])] == [provider]


class TestOneArgument:
    def test_google(self, gcr: World) -> None:
        done = gcr.run("onboard", GOOGLE, "--yes", "--output", "json", env=NO_TARGET)
        assert done.code == 0, done.text
        assert done.json["akka"]["secret_name"] == NAMES["gcr"]
        assert "reads the manifest" in done.json["proven"]

    def test_google_with_options_of_its_own_before_and_after(self, gcr: World) -> None:
        done = gcr.run(
            "onboard", "--yes", "--key-source", "upload", GOOGLE, "--expires-in", "90d", env=NO_TARGET
        )
        assert done.code == 0, done.text
        assert gcr.names() == [NAMES["gcr"]]

    def test_azure(self, acr: World) -> None:
        done = acr.run("onboard", AZURE, "--yes", "--output", "json", env=NO_TARGET)
        assert done.code == 0, done.text
        assert acr.names() == [NAMES["acr"]]
        assert "reads the manifest" in done.json["proven"]

    def test_docker_hub(self, hub: World) -> None:
        done = hub.run("onboard", HUB, "--yes", "--login-stdin", stdin="sandbox-password", env=NO_TARGET)
        assert done.code == 0, done.text
        assert hub.names() == [NAMES["docker-hub"]]

    def test_any_other_registry(self, private: World) -> None:
        done = private.run(
            "onboard",
            PRIVATE,
            "--yes",
            "--password-stdin",
            "--output",
            "json",
            stdin="pull-in-the-sandbox",
            env=NO_TARGET,
        )
        assert done.code == 0, done.text
        assert private.held(NAMES["private"]).server == "https://registry.sandbox.example/v1/"
        assert "reads the manifest" in done.json["proven"]

    def test_the_version_of_the_api_may_be_said_besides(self, private: World) -> None:
        server = "https://registry.sandbox.example/v2/"
        done = private.run(
            "onboard",
            PRIVATE,
            "--server",
            server,
            "--yes",
            "--password-stdin",
            stdin="pull-in-the-sandbox",
            env=NO_TARGET,
        )
        assert done.code == 0, done.text
        assert private.held(NAMES["private"]).server == server

    def test_it_counts_before_the_variables(self, gcr: World) -> None:
        """A shell that is set up for one registry does not keep anybody from naming another."""
        done = gcr.run(
            "plan",
            "us-docker.pkg.dev/acme-shop/gcr.io/checkout:1.0",
            env={"PULLKEY_GCR_REPOSITORY": "containers", "PULLKEY_IMAGE": GOOGLE},
        )
        assert done.code == 0, done.text
        assert "us-docker.pkg.dev/acme-shop/gcr.io" in done.err

    def test_plan_runbook_and_verify(self, gcr: World) -> None:
        assert gcr.run("plan", GOOGLE, env=NO_TARGET).err == gcr.run("plan", "gcr", "--server", GOOGLE).err
        assert (
            gcr.run("runbook", GOOGLE, env=NO_TARGET).out == gcr.run("runbook", "gcr", "--server", GOOGLE).out
        )
        assert gcr.onboard().code == 0
        done = gcr.run("verify", GOOGLE, env=NO_TARGET)
        assert done.code == 0, done.text
        assert NAMES["gcr"] in done.err
        assert gcr.run("verify", GOOGLE, "--role", "roles/artifactregistry.reader", env=NO_TARGET).code == 0

    def test_verify_of_an_image_on_docker_hub_without_its_host(self, hub: World) -> None:
        assert hub.run("onboard", HUB, "--yes", "--login-stdin", stdin="sandbox-password").code == 0
        done = hub.run("verify", HUB, "--output", "json")
        assert done.json["akka"]["secret_name"] == NAMES["docker-hub"], done.text

    def test_verify_of_an_image_that_nothing_is_registered_for(self, gcr: World) -> None:
        done = gcr.run("verify", "registry.example.com/team/app:1")
        assert done.code == 2
        assert "pullkey onboard registry.example.com/team/app:1" in done.err

    def test_the_sandbox_is_one_switch_away(self) -> None:
        done = pullkey("onboard", GOOGLE, "--sandbox", "--yes")
        assert done.returncode == 0, done.stderr


class TestWhatIsNotAnImage:
    @pytest.mark.parametrize("word", ["gcrr", "grc", "GCR", "gc"])
    @pytest.mark.parametrize("command", ["onboard", "plan", "runbook"])
    def test_a_misspelt_provider(self, command: str, word: str) -> None:
        done = pullkey(command, word, "--yes")
        assert done.returncode == 2
        assert "Did you mean" in done.stderr
        assert "gcr" in done.stderr.partition("Did you mean")[2]

    @pytest.mark.parametrize(
        ("word", "meant"),
        [
            ("dockerhub", "docker-hub"),
            ("docker", "docker-hub"),
            ("azure", "acr"),
            ("google", "gcr"),
            ("privat", "private"),
        ],
    )
    def test_a_provider_by_another_name(self, word: str, meant: str) -> None:
        done = pullkey("onboard", word)
        assert done.returncode == 2
        assert f"Did you mean {meant}?" in done.stderr

    def test_an_option_of_another_provider(self) -> None:
        done = pullkey("onboard", AZURE, "--yes", "--service-account", "puller")
        assert done.returncode == 2
        assert "No such option" in done.stderr
        assert "pullkey onboard acr --help" in done.stderr

    @pytest.mark.parametrize(
        ("image", "says"),
        [
            (
                "europe-west1-docker.pkg.dev/acme-shop/containers/Check:1",
                "IMAGE has a path that no image can have",
            ),
            ("acmeshop.azurecr.io/checkout:", "IMAGE"),
            ("acmeshop.westeurope.data.azurecr.io/app", "IMAGE"),
            ("europe-npm.pkg.dev/acme-shop/app", "IMAGE"),
            ("a/b/c", "IMAGE"),
            ("https://ops:secret@registry.example.com/app", "an @"),
            ("registry.example.com:secret/app", "IMAGE"),
            ("http://registry.example.com/app", "https"),
            ("/tmp/app", "is not an image"),
            (":5000/app", "is not an image"),
            ("./app", "is not an image"),
        ],
    )
    def test_an_image_that_cannot_be_one(self, image: str, says: str) -> None:
        done = pullkey("onboard", image, "--yes")
        assert done.returncode == 2, done.stderr
        assert says in done.stderr
        assert "--server" not in done.stderr.splitlines()[0]
        assert "--registry" not in done.stderr.splitlines()[0]
        assert "secret" not in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("option", [("--server", "us-docker.pkg.dev"), ("--server=us-docker.pkg.dev",)])
    def test_two_registries_at_once(self, option: tuple[str, ...]) -> None:
        done = pullkey("onboard", GOOGLE, "--yes", *option)
        assert done.returncode == 2
        assert "name one" in done.stderr

    def test_another_project_than_the_images(self) -> None:
        done = pullkey("onboard", GOOGLE, "--yes", "--gcp-project", "acme-other")
        assert done.returncode == 2
        assert "name one" in done.stderr


class TestAHostOfSeveralProviders:
    """Another plugin may claim a host, too."""

    @pytest.fixture
    def plugin(self, tmp_path: Path) -> Path:
        info = tmp_path / "rival-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[pullkey.providers]\nrival = rival:provider\n")
        (tmp_path / "rival.py").write_text(
            "from providers.acr import AcrProvider\n"
            "class Rival(AcrProvider):\n"
            "    name, title = 'rival', 'A rival'\n"
            "provider = Rival()\n"
        )
        return tmp_path

    def test_it_is_an_error_that_names_both(self, plugin: Path) -> None:
        done = pullkey("onboard", AZURE, "--yes", PYTHONPATH=str(plugin))
        assert done.returncode == 2
        assert "2 providers claim acmeshop.azurecr.io: acr (pullkey " in done.stderr
        assert ") and rival (rival 1.0)" in done.stderr


class TestAFile:
    @pytest.mark.parametrize("name", ["registries.yaml", "registries.yml", "targets"])
    def test_plan_takes_a_file_without_f(self, gcr: World, tmp_path: Path, name: str) -> None:
        file = tmp_path / name
        file.write_text(
            f"version: 1\ntargets:\n  - provider: gcr\n    server: {GOOGLE}\n    akka-project: shop\n"
        )
        with_f = gcr.run("plan", "-f", str(file), "--output", "json")
        assert with_f.code == 0, with_f.text
        without = gcr.run("plan", str(file), "--output", "json")
        assert without.code == 0, without.text
        assert without.json["targets"] == with_f.json["targets"]
        assert gcr.run("plan", "--check", str(file)).code == 5

    @pytest.mark.parametrize("command", ["plan", "list", "runbook", "apply", "report"])
    def test_a_file_that_is_not_there(self, command: str, tmp_path: Path) -> None:
        more = {"apply": ["--yes"], "report": ["--html", str(tmp_path / "page.html")]}.get(command, [])
        done = pullkey(command, "no-such.yaml", *more)
        assert done.returncode == 2
        assert "no-such.yaml" in done.stderr
        assert "provider" not in done.stderr

    def test_apply(self, gcr: World, tmp_path: Path) -> None:
        file = tmp_path / "registries.yaml"
        file.write_text(
            f"version: 1\ntargets:\n  - provider: gcr\n    server: {GOOGLE}\n    akka-project: shop\n"
        )
        assert gcr.run("apply", str(file), "--yes").code == 0
        assert gcr.names() == [NAMES["gcr"]]

    def test_a_provider_is_not_taken_for_a_file_of_its_name(self, gcr: World, tmp_path: Path) -> None:
        (tmp_path / "gcr").write_text("not a file of registries")
        done = pullkey("plan", "gcr", PULLKEY_PLACE=str(tmp_path))
        assert "No registry is named" in done.stderr


def test_an_image_is_read_by_the_rule_of_every_puller() -> None:
    assert host_of_image("foo:5000") == ""
    assert host_of_image("foo:5000/bar") == "foo:5000"
    assert host_of_image("foo.bar:5000") == "foo.bar:5000"


def test_no_answer_is_given_for_an_image_with_a_login() -> None:
    from bootstrap.cli.image import provider_of_image

    with pytest.raises(UsageProblem) as caught:
        provider_of_image("ops:hunter2@registry.example.com/app")
    assert "hunter2" not in caught.value.what
