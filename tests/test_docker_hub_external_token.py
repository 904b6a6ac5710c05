"""`pullkey onboard docker-hub` with a token that the user has created on Docker Hub's page."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pty
import re
import subprocess
import sys
import time

import pytest

from bootstrap.model.key_ref import KeyRef
from bootstrap.testing.harness.world import World
from providers.docker_hub.emulator.seed import USER
from tests.harness.docker_hub_state import (
    NAME,
    ORGANIZATION_NAME,
    add_external_pat,
    cloud_picture,
    onboard,
)


class TestBroughtToken:
    def test_it_is_tried_and_handed_to_akka(self, hub: World) -> None:
        pat = add_external_pat(hub)
        before = cloud_picture(hub)

        done = onboard(hub, "--token-stdin", "--output", "json", given=f"{pat.text}\n")

        assert done.code == 0, done.text
        held = hub.held(NAME)
        assert (held.server, held.username, held.password) == ("https://index.docker.io/v1/", USER, pat.text)
        link = KeyRef.parse(held.email)
        assert link is not None
        assert (link.name, link.domain) == ("brought", "docker.io")
        assert re.fullmatch(r"[0-9a-f]{12}-\d+", link.key_id)
        assert "reads the manifest of registry-1.docker.io/acme/checkout:1.0" in done.json["proven"]
        assert cloud_picture(hub) == before
        assert hub.calls("hub.CreateAuthToken") == 0

    def test_the_second_run_asks_nobody_and_changes_nothing(self, hub: World) -> None:
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)
        changes = len(hub.changes())
        again = hub.onboard("--output", "json")
        assert again.code == 0, again.text
        assert again.json["result"] == "unchanged"
        assert "handed off" in again.json["steps"][0]["reason"]
        assert len(hub.changes()) == changes

    def test_one_that_is_given_again_is_handed_off_again(self, hub: World) -> None:
        onboard(hub, "--token-stdin", given=add_external_pat(hub).text)
        other = add_external_pat(hub)
        assert onboard(hub, "--token-stdin", given=other.text).code == 0
        assert hub.held(NAME).password == other.text

    def test_a_personal_token_reads_more_than_is_wanted_which_is_said(self, hub: World) -> None:
        done = onboard(hub, "--token-stdin", "--output", "json", given=add_external_pat(hub).text)
        assert any("cannot be limited to a repository" in text for text in done.json["notices"])

    @pytest.mark.parametrize("damage", ["wrong", "expired", "deactivated", "of somebody else", "public only"])
    def test_one_that_does_not_pull_is_told_before_anything_is_changed(self, hub: World, damage: str) -> None:
        pat = add_external_pat(hub, "stranger" if damage == "of somebody else" else USER)
        text = pat.text
        match damage:
            case "wrong":
                text = "dckr_pat_0123456789"
            case "expired":
                pat.expires = pat.created - dt.timedelta(hours=1)
            case "deactivated":
                pat.active = False
            case "public only":
                pat.scopes = ("repo:public_read",)
        begin = time.monotonic()
        done = onboard(hub, "--token-stdin", given=text)
        assert done.code == 3, done.text
        assert "does not pull" in done.err
        assert "https://app.docker.com/settings/personal-access-tokens" in done.err
        assert hub.changes() == []
        assert hub.names() == []
        assert time.monotonic() - begin < 15  # it is not waited for, as a new one would be

    def test_a_repository_that_its_owner_may_not_read(self, hub: World) -> None:
        done = onboard(
            hub, "--token-stdin", "--image", "stranger/notes:1.0", given=add_external_pat(hub).text
        )
        assert done.code == 3
        assert "may not pull stranger/notes" in done.err

    def test_without_a_terminal_it_must_be_on_stdin(self, hub: World) -> None:
        done = hub.onboard()
        assert done.code == 2, done.text
        assert "The Docker Hub token of acmebot is needed" in done.err
        assert hub.changes() == []

    def test_it_is_asked_for_without_being_shown(self, hub: World) -> None:
        pat = add_external_pat(hub)
        our_pats, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "bootstrap", "onboard", "docker-hub", "--yes"],
            env={**hub.running.process_environment(), "TERM": "xterm", "COLUMNS": "100"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown, typed = b"", False
        with contextlib.suppress(OSError):
            while piece := os.read(our_pats, 4096):
                shown += piece
                if (
                    b"token of acmebot" in shown.replace(b"\r\n", b" ")
                    and shown.rstrip().endswith(b":")
                    and not typed
                ):
                    typed = True
                    time.sleep(0.3)  # the terminal's echo is switched off just after the question
                    os.write(our_pats, pat.text.encode() + b"\n")
        os.close(our_pats)
        hub.said.append(shown.decode(errors="replace"))
        assert process.wait(timeout=60) == 0, shown.decode()
        assert hub.held(NAME).password == pat.text
        assert f"({len(pat.text)} characters received)" in shown.decode()

    def test_an_organisations_token_may_be_brought_too(self, hub: World) -> None:
        oat = hub.cloud.state.organization("acme").tokens[0]
        done = onboard(hub, "--organization", "acme", "--token-stdin", given=oat.text)
        assert done.code == 0, done.text
        assert hub.held(ORGANIZATION_NAME).username == "acme"
        assert "cannot be limited" not in done.err
