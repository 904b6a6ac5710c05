"""`rotate --all --due` of a nightly job: what it did in one line at the end, and what it needs in a
command that works.
"""

from __future__ import annotations

from jsonschema import Draft202012Validator

from bootstrap.output.json_schema import schemas
from bootstrap.testing.harness.world import World
from tests.harness.docker_hub_state import LOGIN, onboard
from tests.harness.private_registry import onboard_aged


def test_a_credential_that_needs_a_login_is_named_with_the_command_that_takes_it(hub: World) -> None:
    assert onboard(hub, *LOGIN).code == 0

    nightly = hub.run("rotate", "--all", "--due", "--yes")

    assert nightly.code != 0
    command = "pullkey rotate docker-hub-acmebot --secret-stdin --yes --akka-project shop"
    assert f"{command} < FILE" in nightly.err
    assert hub.run(*command.split()[1:], "--overlap", "0", stdin="sandbox-password").code == 0


def test_onboard_names_the_options_that_take_the_secret(hub: World) -> None:
    done = hub.run("onboard", "acme/checkout:1.0", "--hub-user", "acmebot", "--mint", "--yes")
    assert done.code == 2
    assert "--token-stdin or --login-stdin" in done.err


def test_a_password_of_yours_that_is_due_ends_with_5_as_with_a_file(private: World) -> None:
    name = onboard_aged(private, days_ago=70)

    due = private.run("rotate", "--all", "--older-than", "60d", "--yes", "--output", "json")
    fresh = private.run("rotate", "--all", "--older-than", "90d", "--yes")

    assert (due.code, fresh.code) == (5, 0)
    assert f"pullkey rotate {name}" in due.err
    assert "failed" not in due.err
    Draft202012Validator(schemas()["rotate"]).validate(due.json)
    (shown,) = due.json["results"]
    assert (shown["akka"]["secret_name"], shown["result"], shown["exit_code"]) == (name, "drift", 5)
    assert f"pullkey rotate {name}" in shown["notices"][0]


def test_the_last_line_counts_what_was_done(gcr: World) -> None:
    assert gcr.onboard().code == 0
    assert gcr.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/tools", "--image", "").code == 0

    nightly = gcr.run("rotate", "--all", "--due", "--yes")
    forced = gcr.run("rotate", "--all", "--older-than", "1s", "--overlap", "0", "--yes")

    assert nightly.code == forced.code == 0
    assert nightly.err.splitlines()[-1] == "2 credentials: 2 not due."
    assert forced.err.splitlines()[-1] == "2 credentials: 2 rotated."
