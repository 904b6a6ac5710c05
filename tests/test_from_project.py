"""`pullkey onboard --from-project`: what an Akka project runs, which of it has no credential, and what
Akka says of a pull.
"""

from __future__ import annotations

import json

import jsonschema
import pytest

from bootstrap.akka.services import PullFailure, is_akka_registry, parse_export, parse_service, parse_services
from bootstrap.output.json_schema import schemas
from bootstrap.sandbox.akka_platform import Listing
from bootstrap.sandbox.images import Image
from bootstrap.testing.harness.world import World
from providers.gitlab.emulator.seed import MAINTAINER_TOKEN
from tests.harness.terminal import Terminal

GOOGLE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
NAME = "europe-west1-docker-pkg-dev-acme-shop-containers"
TOOLS = "europe-west1-docker-pkg-dev-acme-shop-tools"


def deploy(world: World, **images: str) -> None:
    world.akka.projects["shop"].services.update(images)


class TestTheSurvey:
    def test_what_has_no_credential_is_onboarded(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE, cart=GOOGLE, own="acr.us-east-1.akka.io/acme/shop/own:1")
        done = gcr.run("onboard", "--from-project", "--yes")
        assert done.code == 0, done.text
        assert "Akka project shop: 3 services, 2 registries" in done.err
        assert "missing     europe-west1-docker.pkg.dev/acme-shop/containers" in done.err
        assert "services: cart, checkout" in done.err
        assert "cart cannot pull: ImagePullBackOff" in done.err
        assert "Akka's own  acr.us-east-1.akka.io" in done.err
        assert gcr.names() == [NAME]

        again = gcr.run("onboard", "--from-project", "--yes", "--output", "json")
        assert again.code == 0, again.text
        jsonschema.validate(again.json, schemas()["from-project"])
        states = {
            one["registry"]: (one["credential_state"], one["credential"]) for one in again.json["registries"]
        }
        assert states["europe-west1-docker.pkg.dev/acme-shop/containers"] == ("ok", NAME)
        assert "Nothing to onboard." in again.err

    def test_a_credential_that_does_not_work_any_more_is_replaced_under_its_own_name(
        self, gcr: World
    ) -> None:
        deploy(gcr, checkout=GOOGLE)
        assert gcr.onboard("--secret-name", "by-hand").code == 0
        before = gcr.held("by-hand").password
        for account in gcr.cloud.state.projects["acme-shop"].accounts.values():
            account.keys.clear()
        done = gcr.run("onboard", "--from-project", "--yes")
        assert done.code == 0, done.text
        assert "invalid     europe-west1-docker.pkg.dev/acme-shop/containers" in done.err
        assert gcr.names() == ["by-hand"]
        assert gcr.held("by-hand").password != before

    def test_a_credential_for_another_repository_of_the_same_host_is_none(self, gcr: World) -> None:
        deploy(gcr, other="europe-west1-docker.pkg.dev/acme-shop/other/app:1")
        assert gcr.onboard().code == 0
        done = gcr.run("plan", "--from-project", "--output", "json")
        [one] = done.json["registries"]
        assert (one["registry"], one["credential_state"]) == (
            "europe-west1-docker.pkg.dev/acme-shop/other",
            "missing",
        )

    def test_a_credential_that_may_be_for_other_images_satisfies_none(self, gitlab: World) -> None:
        """Without a login, the number of a project in Akka's record does not say which images are its."""
        no_image = {"PULLKEY_GITLAB_IMAGE": ""}
        done = gitlab.onboard("--project", "acme/shop", "--login-stdin", stdin=MAINTAINER_TOKEN, env=no_image)
        assert done.code == 0, done.text
        deploy(gitlab, web="registry.gitlab.com/acme/web/site/nginx:1.0")

        planned = gitlab.run("plan", "--from-project", env=no_image)

        assert "Nothing to onboard." not in planned.err, planned.text
        assert "whether it is for these images is not known" in planned.err
        assert "Create a deploy token of the project of acme/web/site/nginx" in planned.text

    def test_one_that_fails_stops_no_other(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE, press="registry.sandbox.example/press/app:1")
        gcr.forgiven.add("registry.sandbox.example")
        done = gcr.run("onboard", "--from-project", "--yes", "--output", "json")
        assert done.code == 4, done.text
        assert gcr.names() == [NAME]
        assert "pullkey onboard registry.sandbox.example/press/app:1" in done.err
        codes = {one["registry"]: one["exit_code"] for one in done.json["registries"]}
        assert codes["registry.sandbox.example"] == 2
        jsonschema.validate(done.json, schemas()["from-project"])
        ended = {one["registry"]: one["onboarding"] for one in done.json["registries"]}
        assert ended["registry.sandbox.example"]["error"]["code"].startswith("PK-")
        [done_one] = [one for one in ended.values() if one["result"] == "done"]
        assert done_one["credential"]["email"] == gcr.held(NAME).email

    def test_what_one_leaves_over_is_named_in_the_document(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        gcr.fault("akka.docker.add-credentials=403*forever")
        gcr.fault("iam.DeleteServiceAccountKey=403*forever")
        done = gcr.run("onboard", "--from-project", "--yes", "--output", "json")
        assert done.code == 6, done.text
        [one] = done.json["registries"]
        assert [left["command"] for left in one["onboarding"]["left_over"]], done.text

    def test_one_that_needs_a_secret_is_reported_with_its_command(self, hub: World) -> None:
        deploy(hub, app="docker.io/acme/app:1.0")
        done = hub.run("onboard", "--from-project", "--yes", "--akka-project", "shop")
        assert done.code == 2, done.text
        assert "Pass it on stdin: --token-stdin" in done.err
        assert "pullkey onboard docker.io/acme/app:1.0 --yes --akka-project shop" in done.err

    def test_its_audit_trail_is_one_chain(self, gcr: World) -> None:
        drill = "europe-west1-docker.pkg.dev/acme-shop/tools/drill"
        gcr.running.call(gcr.running.sandbox.images.put(drill, "1", Image.build("drill\n")))
        deploy(gcr, checkout=GOOGLE, drill=f"{drill}:1")
        done = gcr.run("onboard", "--from-project", "--yes", "--audit", "-")
        assert done.code == 0, done.text
        assert {json.loads(line)["akka"]["secret_name"] for line in done.out.splitlines()} == {NAME, TOOLS}
        verified = gcr.run("audit", "verify", "-", stdin=done.out)
        assert verified.code == 0, verified.text

    def test_a_plan_changes_nothing(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        done = gcr.run("plan", "--from-project")
        assert done.code == 0, done.text
        assert "Create service account" in done.err
        assert gcr.changes() == []

    def test_a_project_that_runs_nothing(self, gcr: World) -> None:
        done = gcr.run("onboard", "--from-project", "--yes")
        assert done.code == 0, done.text
        assert "Akka project shop runs no services." in done.err

    @pytest.mark.parametrize("mode", ["babbles", "logged-out"])
    def test_an_akka_cli_that_shows_no_services(self, gcr: World, mode: str) -> None:
        deploy(gcr, checkout=GOOGLE)
        gcr.akka.mode, gcr.akka.mode_applies_to = mode, "projects.export"  # type: ignore[assignment]
        done = gcr.run("plan", "--from-project", "--output", "json")
        assert done.code == 0, done.text
        assert [one["credential_state"] for one in done.json["registries"]] == ["missing"]


class TestWhoIsAsked:
    def test_without_a_terminal_and_without_yes(self, gcr: World) -> None:
        done = gcr.run("onboard", "--from-project")
        assert done.code == 2
        assert "Pass --yes" in done.err

    def test_options_alone_are_not_enough_without_a_terminal(self, gcr: World) -> None:
        done = gcr.run("onboard", "--yes")
        assert done.code == 2
        assert "No image and no provider is named" in done.err
        assert "--from-project" in done.err

    def test_in_a_terminal_onboard_alone_asks_which(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE, other="europe-west1-docker.pkg.dev/acme-shop/other/app:1")
        with Terminal(gcr, "onboard") as terminal:
            terminal.until("(Enter: none):")
            terminal.press("7\n")
            terminal.until("Enter numbers from 1 to 2")
            terminal.until("(Enter: none):", times=2)  # what is typed before a question is dropped
            terminal.press("1\n")
            terminal.until("[y/N]")
            terminal.press("y\n")
            assert terminal.ended() == 0, terminal.text
            assert f"pullkey onboard {GOOGLE}" in terminal.text
        assert gcr.names() == [NAME]

    def test_none_is_an_answer_too(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        with Terminal(gcr, "onboard") as terminal:
            terminal.until("(Enter: none):")
            terminal.press("\n")
            assert terminal.ended() == 0, terminal.text
        assert gcr.changes() == []

    def test_ctrl_c_at_the_question(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        with Terminal(gcr, "onboard") as terminal:
            terminal.until("(Enter: none):")
            terminal.press("\x03")
            assert terminal.ended() == 130, terminal.text
        assert gcr.changes() == []


class TestWhatAkkaPrints:
    """The forms are the documented descriptor, and what other versions and legacy CLIs print."""

    DESCRIPTOR = (
        "resource: Service\nresourceVersion: v1\nmetadata:\n  name: checkout\nspec:\n  image: "
        "gcr.io/acme-shop/checkout:1\n"
        "  env:\n  - name: A\n    value: '---'\n"
        "---\nresource: Route\nresourceVersion: v1\nmetadata:\n  name: r\nspec:\n  host: shop.example.com\n"
        "---\nresource: Secret\nmetadata:\n  name: s\nspec: NOT EXPORTED\n"
        "---\nresource: ServiceConfig\nmetadata:\n  name: c\nspec:\n  image: not/this:1\n"
        "--- # a comment\n{broken: [\n"
        "---\nname: cart\nservice:\n  image: acme/cart:2\n"
        "---\n- just\n- a list\n"
    )

    def test_the_export(self) -> None:
        found = parse_export(self.DESCRIPTOR)
        assert [(one.name, one.image) for one in found] == [
            ("checkout", "gcr.io/acme-shop/checkout:1"),
            ("cart", "acme/cart:2"),
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "null",
            "No services",
            "[" * 50_000,
            "a: &a [*a]",
            "resource: Service",
            "resource: Service\nspec: 1",
            "\x00",
            "!!python/object/apply:os.system ['true']",
        ],
    )
    def test_an_export_of_another_form_has_no_services(self, text: str) -> None:
        assert parse_export(text) == []

    def test_a_list_as_a_legacy_cli_prints_it(self) -> None:
        text = json.dumps(
            [
                {
                    "metadata": {"name": "cart"},
                    "spec": {"containers": [{"image": "docker.io/acme/cart:1"}]},
                    "status": {"summary": "Ready"},
                }
            ]
        )
        [one] = parse_services(text)
        assert (one.name, one.image, one.status, one.ready) == (
            "cart",
            "docker.io/acme/cart:1",
            "Ready",
            True,
        )

    @pytest.mark.parametrize(
        "text", ["", "null", "[]", "{}", "nonsense", "[1, 2]", '{"services": null}', "[" * 50_000]
    )
    def test_a_list_of_another_form_is_empty(self, text: str) -> None:
        assert parse_services(text) == []
        assert parse_service(text)[1] == []

    @pytest.mark.parametrize(
        "document",
        [
            {
                "name": "cart",
                "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "401"}}}],
            },
            {
                "metadata": {"name": "cart"},
                "status": {"pods": [{"containers": [{"reason": "ErrImagePull", "message": "401"}]}]},
            },
            {"service": {"name": "cart"}, "instances": [{"Status": "ErrImagePull", "Message": "401"}]},
            [
                {
                    "name": "cart",
                    "regions": {
                        "eu": [{"reason": "ErrImagePull"}, {"reason": "ErrImagePull", "message": "401"}]
                    },
                }
            ],
        ],
    )
    def test_the_failure_is_found_wherever_it_is(self, document: object) -> None:
        service, failures = parse_service("A new version is available\n" + json.dumps(document))
        assert service is not None
        assert service.name == "cart"
        assert failures == [PullFailure("ErrImagePull", "401")]

    def test_the_text_of_the_reference(self) -> None:
        text = (
            "Service:        shopping-cart\nCreated:        4h20m\nStatus:         Unavailable\nImage: "
            "         gcr.io/acme-shop/cart:0.0.4\nuser-function   ImagePullBackOff: unauthorized\n"
        )
        service, failures = parse_service(text)
        assert service is not None
        assert (service.name, service.status, service.image) == (
            "shopping-cart",
            "Unavailable",
            "gcr.io/acme-shop/cart:0.0.4",
        )
        assert failures == [PullFailure("ImagePullBackOff", "unauthorized")]

    def test_what_moves_the_cursor_is_not_shown(self) -> None:
        _, failures = parse_service(
            json.dumps({"name": "a", "reason": "ErrImagePull", "message": "\x1b[2Jgone"})
        )
        assert "\x1b" not in failures[0].message

    @pytest.mark.parametrize(
        ("host", "own"),
        [
            ("acr.us-east-1.akka.io", True),
            ("kcr.us-east-1.kalix.io", True),
            ("acmeshop.azurecr.io", False),
            ("acr.akka.io.example.com", False),
            ("", False),
        ],
    )
    def test_akkas_own_registry(self, host: str, own: bool) -> None:
        assert is_akka_registry(host) is own


class TestVerifyOfAService:
    def test_a_service_without_a_credential(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        done = gcr.run("verify", "--service", "checkout", "--output", "json")
        assert done.code == 5, done.text
        jsonschema.validate(done.json, schemas()["service"])
        assert done.json["pull_failures"][0]["reason"] == "ImagePullBackOff"
        assert "401 Unauthorized" in done.err
        assert f"pullkey onboard {GOOGLE}" in done.err

    def test_a_service_with_a_valid_one(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        assert gcr.onboard().code == 0
        done = gcr.run("verify", "--service", "checkout", "--output", "json")
        assert done.code == 0, done.text
        jsonschema.validate(done.json, schemas()["service"])
        assert done.json["verification"]["akka"]["secret_name"] == NAME
        assert "Akka shows no failed pull." in done.err

    def test_a_service_whose_credential_has_lost_its_key(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        assert gcr.onboard().code == 0
        for account in gcr.cloud.state.projects["acme-shop"].accounts.values():
            account.keys.clear()
        assert gcr.run("verify", "--service", "checkout").code == 5

    def test_a_service_whose_credential_cannot_be_verified(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        assert gcr.onboard().code == 0
        # The e-mail is cut within the name of the Google project.
        gcr.akka.listing = Listing(email_length=len(gcr.held(NAME).email.partition("acme-shop")[0]) + 3)
        done = gcr.run("verify", "--service", "checkout", "--output", "json")
        assert done.json["problem"]
        assert done.json["problem_code"].startswith("PK-")
        assert done.json["verification"] is None
        assert done.code == done.json["exit_code"] != 0

    def test_a_service_of_somebody_elses_credential(self, gcr: World) -> None:
        gcr.akka.projects["billing"].services["bill"] = "registry.example.com/billing/bill:1"
        done = gcr.run("verify", "--service", "bill", "--akka-project", "billing")
        assert done.code == 0, done.text
        assert "not created by pullkey" in done.err

    def test_a_service_of_akkas_own_registry(self, gcr: World) -> None:
        deploy(gcr, own="acr.us-east-1.akka.io/acme/shop/own:1")
        done = gcr.run("verify", "--service", "own")
        assert done.code == 0, done.text
        assert "Akka's own registry" in done.err

    def test_a_service_that_there_is_not(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE)
        done = gcr.run("verify", "--service", "chekout")
        assert done.code == 2
        assert "Did you mean checkout?" in done.err


class TestServicesThatWaited:
    def test_the_summary_names_them(self, gcr: World) -> None:
        deploy(gcr, checkout=GOOGLE, cart=GOOGLE, other="acmeshop.azurecr.io/app:1")
        done = gcr.onboard("--output", "json")
        assert done.code == 0, done.text
        assert done.json["services_without_image"] == ["cart", "checkout"]
        assert "Services that could not pull before: cart, checkout." in done.err
        assert "Services" not in gcr.onboard().err

    @pytest.mark.parametrize("how", ["503*forever", "hang", "html*forever"])
    def test_what_akka_does_not_say_is_not_said(self, gcr: World, how: str) -> None:
        deploy(gcr, checkout=GOOGLE)
        gcr.fault(f"akka.services.list={how}")
        done = gcr.onboard("--timeout", "60s")
        assert done.code == 0, done.text
        assert "could not pull before" not in done.err
