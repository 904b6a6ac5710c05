"""A printed command is for the Akka that the command was for: it has all the options that named it."""

from __future__ import annotations

import re

import pytest

from bootstrap.akka.cli import AkkaCli
from bootstrap.akka.scope import AkkaScope
from bootstrap.cli import messages_credentials
from bootstrap.engine import messages, messages_handoff
from bootstrap.engine.handoff_script import handoff_script
from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.testing.harness.world import World

SCOPE = AkkaScope("shop", "acme", "gcp-us-east1", "default")
OF_PULLKEY = "--akka-project shop --akka-owner acme --akka-region gcp-us-east1 --akka-context default"
OF_AKKA = "--project=shop --owner=acme --region=gcp-us-east1 --context=default"
OPTIONS = OF_PULLKEY.split()
HELD = HeldCredential("other", "https://gcr.io/v1/", "ops", "", "OK")
WORDS = dict.fromkeys(("server", "username", "email", "password"), "X")

TEXTS = {
    "another": messages.another_credential_for_server(HELD, HELD.server, SCOPE.options).text,
    "by hand": "\n".join(
        filter(None, vars(handoff_script("s0", WORDS, SCOPE.printed_arguments())).values())
    ).replace("\\\n", ""),
    "secret": AkkaCli(SCOPE, Deadline(1), lambda _: None).secret_removal("s0"),
    "differs": messages_handoff.record_differs("it", SCOPE).fix,
    "lost": messages_handoff.overwritten_by_another_run("k", "s0", SCOPE).fix,
    "unseen": messages_handoff.not_seen_again("s0", OSError(), SCOPE),
    "no credential": messages_credentials.no_credential_for_registry("gcr.io", SCOPE, "gcr.io/a/b").fix,
    "of a service": messages_credentials.service_has_no_credential("gcr.io", "gcr.io/a/b", SCOPE),
    "several": messages_credentials.several_credentials("gcr.io/a/b", "s0, s1", SCOPE).fix,
    "service": messages_credentials.service_not_a_credential("cart", SCOPE),
    "not managed": messages_credentials.credential_not_managed("s0", "gcr", SCOPE).fix,
    "restart": messages_credentials.credential_valid_but_pull_failed("cart", SCOPE),
}


def commands_in(text: str) -> list[str]:
    return re.findall(
        r"(?<![./\w-])(?:pullkey [a-z]+|akka (?:docker|secrets|services) [a-z-]+)\b[^`\n#]*", text
    )


@pytest.mark.parametrize("what", TEXTS)
def test_a_printed_command_names_the_same_akka(what: str) -> None:
    commands = commands_in(TEXTS[what])
    assert commands
    for command in commands:
        assert (OF_AKKA if command.startswith("akka") else OF_PULLKEY) in command


def test_what_an_onboarding_prints_names_the_same_akka(gcr: World) -> None:
    plan = gcr.run("plan", "gcr", *OPTIONS)
    assert plan.code == 0, plan.text
    done = gcr.onboard(*OPTIONS)
    assert done.code == 0, done.text
    for text in (plan.err.replace("\\\n", "").partition("by hand")[2], done.err.partition("Next:")[2]):
        commands = commands_in(text)
        assert commands, text
        for command in commands:
            assert (OF_AKKA if command.startswith("akka") else OF_PULLKEY) in " ".join(command.split()), text
