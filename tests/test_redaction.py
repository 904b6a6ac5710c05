"""A secret is taken out of what others wrote, in whatever form they wrote it."""

from __future__ import annotations

import base64
import html
import json
import re
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap.model.secret import Secret
from bootstrap.testing.harness.leak_scan import holds

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps({"password": text})),
    "repr": repr,
    "HTML": html.escape,
    "URL": lambda text: urllib.parse.quote(text, safe=""),
    "URL in lower case": lambda text: re.sub(
        "%..", lambda found: found[0].lower(), urllib.parse.quote(text, safe="")
    ),
    "a form": urllib.parse.quote_plus,
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "Basic": lambda text: base64.b64encode(f"robot$akka:{text}".encode()).decode(),
    "Docker's configuration": lambda text: json.dumps(
        {"auths": {"r.example": {"auth": base64.b64encode(f"user:{text}".encode()).decode()}}}
    ),
    "a Kubernetes secret": lambda text: base64.b64encode(
        json.dumps({"auth": base64.b64encode(f"u:{text}".encode()).decode(), "password": text}).encode()
    ).decode(),
    "base64 in lines": lambda text: base64.encodebytes(b"user:" + text.encode() * 3).decode(),
}
PASSWORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=60)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30)
@given(PASSWORDS, st.text(max_size=5))
def test_no_form_of_it_is_left(form: str, password: str, before: str) -> None:
    written = f"{before}refused: {FORMS[form](password)} is wrong"
    left = Secret(password).redact(written)
    assert holds(left.encode(errors="replace"), password) == ""


SPELLED_OUT: dict[str, Callable[[str], str]] = {
    "URL in URL": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "URL in URL, each character": lambda text: "".join(f"%25{byte:02X}" for byte in text.encode()),
    "URL, in either case": lambda text: "".join(
        f"%{byte:02x}" if at % 2 else f"%{byte:02X}" for at, byte in enumerate(text.encode())
    ),
    "JSON, each character": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "JSON in JSON, each character": lambda text: "".join(f"\\\\u{ord(character):04X}" for character in text),
    "bytes, each": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "octal": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "HTML, each character": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "HTML in HTML, each character": lambda text: "".join(f"&amp;#x{ord(character):x};" for character in text),
    "a dump": lambda text: " ".join(f"{byte:02X}" for byte in text.encode()),
    "a dump with colons": lambda text: ":".join(f"{byte:02x}" for byte in text.encode()),
    "hex in either case": lambda text: "".join(
        f"{byte:02x}"[0].upper() + f"{byte:02x}"[1] for byte in text.encode()
    ),
    "numbers": lambda text: str(list(text.encode())),
    "in lines": lambda text: "\n".join(re.findall(".{1,5}", text)),
    "base64 in short lines": lambda text: "\r\n".join(
        re.findall(".{1,8}", base64.b64encode(b"user:" + text.encode()).decode())
    ),
    "with what nobody sees": "\u200b".join,
}


@pytest.mark.parametrize("form", SPELLED_OUT)
@pytest.mark.parametrize(
    "password", ["dckr_pat_Zx9qW8eR7tY6uI5oP4aS3", 's3cr"e<t&pa/ss+w%41rd=1', "corréct-hörse", "hunter2"]
)
def test_it_is_found_where_it_is_spelled_out(form: str, password: str) -> None:
    written = SPELLED_OUT[form](password)
    left = Secret(password).redact(f"refused ({written}) as wrong")
    assert "<hidden>" in left
    assert written not in left
    assert left.startswith("refused (")
    assert left.endswith(") as wrong")
    assert len(left) < len("refused () as wrong") + 24


@pytest.mark.parametrize(
    "text",
    [
        "01:02:03:04:05:06 is a network card",
        "10, 20, 30, 40, 50, 60",
        "a\\b\\c %41 &amp; \\u0041 1 2 3",
        "sha256:" + "ab" * 32,
    ],
)
def test_what_is_spelled_out_and_is_something_else_stays(text: str) -> None:
    assert Secret("hunter2-hunter2").redact(text) == text


@pytest.mark.parametrize("flood", ["\\", "%25", "&amp;", "aa:", "1,", "&#", " ", "0x"])
def test_a_flood_is_searched_in_time_that_grows_with_its_length_alone(flood: str) -> None:
    text = (flood * 65_536)[:65_536]
    begin = time.process_time()
    assert Secret("hunter2-hunter2").redact(text) == text
    assert time.process_time() - begin < 3


@pytest.mark.parametrize("form", ["plain", "Basic", "base64", "hex"])
def test_a_short_one_is_taken_out_as_well(form: str) -> None:
    written = FORMS[form]("hunter2")
    assert written not in Secret("hunter2").redact(f"refused: {written}")


@pytest.mark.parametrize("form", ["plain", "JSON", "Basic", "a Kubernetes secret"])
def test_of_a_key_file_only_the_key_is_taken_out(form: str) -> None:
    key = json.dumps(
        {
            "client_email": "akka-docker-reader@acme-shop-production.iam.gserviceaccount.com",
            "private_key": "-----BEGIN PRIVATE "
            "KEY-----\nbWFkZSB1cCBmb3IgYSB0ZXN0\nb2YgdGhlIHJlZGFjdGlvbg==\n-----END PRIVATE "
            "KEY-----\n",
        }
    )
    left = Secret(key).redact(f"akka-docker-reader@acme-shop-production lacks a role: {FORMS[form](key)}")
    assert left.startswith("akka-docker-reader@acme-shop-production lacks a role: ")
    assert holds(left.encode(), key) == ""
    assert "b2YgdGhlIHJlZGFjdGlvbg" not in left


def test_what_is_not_it_is_left_alone() -> None:
    said = "unauthorized: authentication required for robot$akka at registry.example.com"
    assert Secret("correct-horse-battery-staple").redact(said) == said
    assert Secret("").redact(said) == said
