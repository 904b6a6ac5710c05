"""The small values: secrets, links, names, references, endpoints."""

from __future__ import annotations

import json
import logging
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model.credential import Credential, secret_name
from bootstrap.model.errors import UsageProblem
from bootstrap.model.image_reference import parse_reference
from bootstrap.model.key_ref import KeyRef, local_name
from bootstrap.model.secret import Secret
from bootstrap.model.settings import CONNECT_TO, connect_to, parse_endpoint

KEY = "correct-horse-battery-staple"


class TestSecret:
    def test_it_shows_nowhere(self, caplog: pytest.LogCaptureFixture) -> None:
        secret = Secret(KEY)
        credential = Credential("https://x", "u", secret, KeyRef("a", "key123", "d"))
        logging.getLogger("test").error("%s %r %s", secret, secret, credential)
        try:
            raise ValueError(secret)
        except ValueError:
            trace = traceback.format_exc()

        shown = f"{secret} {secret!r} {secret:>30} {credential!r} {trace} {caplog.text} {[secret]}"

        assert KEY not in shown
        assert "<hidden" in shown

    def test_it_cannot_be_written(self) -> None:
        with pytest.raises(TypeError, match="never written"):
            pickle.dumps(Secret(KEY))
        with pytest.raises(TypeError):
            json.dumps(Secret(KEY))

    def test_it_takes_itself_out_of_what_others_wrote(self) -> None:
        assert Secret(KEY).redact(f"unknown flag {KEY}!") == "unknown flag <hidden>!"

    @given(st.text(min_size=12), st.text(), st.text(), st.integers(0, 40))
    def test_no_piece_of_it_is_left_however_it_was_cut(
        self, value: str, before: str, after: str, cut: int
    ) -> None:
        piece = value[cut % (len(value) - 11) :]
        left = Secret(value).redact(f"{before}{piece}{after}")
        assert not any(
            piece[at : at + 12] in left for at in range(len(piece) - 11) if "<hidden>" not in piece
        )

    def test_equal_secrets_are_equal(self) -> None:
        assert Secret(KEY) == Secret(KEY)
        assert Secret(KEY) != Secret("other")


NAMES = st.from_regex(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", fullmatch=True)
KEY_IDS = st.from_regex(r"[0-9a-f]{40}", fullmatch=True) | st.uuids().map(str)


class TestKeyLink:
    @given(NAMES, st.from_regex(r"[0-9a-f]{40}", fullmatch=True))
    def test_a_google_link_survives_the_journey_through_akka(self, name: str, key_id: str) -> None:
        link = KeyRef(name, key_id, "acme-shop.iam.gserviceaccount.com")
        assert KeyRef.parse(str(link)) == link

    @given(st.text(max_size=60), st.uuids().map(str))
    def test_an_azure_link_survives_it_whatever_the_application_is_called(
        self, name: str, key_id: str
    ) -> None:
        link = KeyRef(local_name(name), key_id, "acmeshop.azurecr.io")
        assert KeyRef.parse(str(link)) == link

    @given(NAMES, KEY_IDS)
    def test_the_part_before_the_at_is_no_longer_than_mail_allows(self, name: str, key_id: str) -> None:
        assert len(str(KeyRef(name, key_id, "x.example")).partition("@")[0]) <= 64

    @pytest.mark.parametrize(
        "email", ["", "user@example.com", "no-at", "a+b@", "+abc123def@x", "a@b@c", "dev+ops@x.y"]
    )
    def test_what_is_not_ours_is_no_link(self, email: str) -> None:
        assert KeyRef.parse(email) is None


class TestSecretName:
    @given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=3))
    def test_it_is_a_name_that_akka_takes(self, parts: list[str]) -> None:
        name = secret_name("x", *parts)
        assert len(name) <= 63
        assert name.strip("-") == name
        assert all(character.isascii() and (character.isalnum() or character == "-") for character in name)

    def test_long_names_that_begin_alike_stay_apart(self) -> None:
        long = "europe-west1-docker.pkg.dev"
        assert secret_name(long, "p" * 30, "repository-of-team-a" * 2) != secret_name(
            long, "p" * 30, "repository-of-team-a" * 2 + "b"
        )


class TestReference:
    @pytest.mark.parametrize(
        ("text", "host", "path", "reference"),
        [
            ("gcr.io", "gcr.io", "", ""),
            ("https://gcr.io/", "gcr.io", "", ""),
            ("https://registry.example.com/v2/", "registry.example.com", "", ""),
            ("ACMESHOP.azurecr.io", "acmeshop.azurecr.io", "", ""),
            ("acmeshop.azurecr.io/checkout", "acmeshop.azurecr.io", "checkout", "latest"),
            ("acmeshop.azurecr.io/a/b:1.0", "acmeshop.azurecr.io", "a/b", "1.0"),
            ("gcr.io/acme/x@sha256:" + "0" * 64, "gcr.io", "acme/x", "sha256:" + "0" * 64),
            ("gcr.io/acme/x:1@sha256:" + "0" * 64, "gcr.io", "acme/x", "sha256:" + "0" * 64),
        ],
    )
    def test_what_people_type(self, text: str, host: str, path: str, reference: str) -> None:
        found = parse_reference(text, where="--server")
        assert (found.host, found.path, found.reference) == (host, path, reference)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "http://gcr.io",
            "ftp://gcr.io",
            "gcr.io:99999",
            "gcr.io:x",
            "-gcr.io",
            "gcr..io",
            "gcr.io/UPPER",
            "gcr.io/a b",
            "gcr.io/a\n",
            "gcr.io/x:",
            "gcr.io/x@md5:abc",
            "g\u0441r.io",
            "user:pw@gcr.io",
            "gcr.io/x:y:z",
            "gcr.io/../etc",
            "gcr.io\x00",
            "a" * 300 + ".io",
        ],
    )
    def test_what_is_none_is_said_in_one_sentence(self, text: str) -> None:
        with pytest.raises(UsageProblem) as error:
            parse_reference(text, where="--server")
        assert "--server" in error.value.what
        assert "\n" not in error.value.what

    @given(st.text())
    def test_anything_typed_is_read_or_refused(self, text: str) -> None:
        try:
            found = parse_reference(text, where="--server")
        except UsageProblem:
            return
        assert found.host.isascii()
        assert parse_reference(str(found), where="again") == found


class TestEndpoint:
    @pytest.mark.parametrize(
        "text", ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]:5", "https://iam.example"]
    )
    def test_https_anywhere_and_plaintext_on_loopback(self, text: str) -> None:
        assert parse_endpoint(text, where="X").url == text

    @pytest.mark.parametrize(
        "text",
        [
            "http://example.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "localhost:80",
            "https://",
            "https://x/path",
            "https://user:pw@x",
            "https://x?q",
            "https://x:port",
        ],
    )
    def test_anything_else_is_refused_by_name(self, text: str) -> None:
        with pytest.raises(UsageProblem, match=r"^THE_VARIABLE "):
            parse_endpoint(text, where="THE_VARIABLE")

    def test_a_registry_is_reached_where_the_person_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(CONNECT_TO, "gcr.io=10.0.0.1:443, *.pkg.dev=[::1]:8443")
        assert connect_to("gcr.io") == ("10.0.0.1", 443)
        assert connect_to("us-docker.pkg.dev") == ("::1", 8443)
        assert connect_to("evilpkg.dev") is None
        assert connect_to("docker.io") is None

    def test_a_mistyped_address_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(CONNECT_TO, "gcr.io=nowhere")
        with pytest.raises(UsageProblem, match=CONNECT_TO):
            connect_to("gcr.io")
