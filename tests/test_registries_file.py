"""The file of registries: what is wrong with one is told at its place, all at once, and never with a
secret in it.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bootstrap.fleet.fields import default_fields, own_fields, target_fields
from bootstrap.fleet.registries import InvalidFile, Registries, parse
from bootstrap.fleet.schema import registries_schema
from bootstrap.fleet.validation import shape_of
from bootstrap.fleet.yaml_nodes import NotReadable, decode, read
from bootstrap.plugin import entry_points as plugins

HERE = Path("/tmp")
GCR = "  - provider: gcr\n    server: europe-west1-docker.pkg.dev/acme-shop/containers\n"


def understood(text: str | bytes) -> Registries:
    return parse(text if isinstance(text, bytes) else text.encode(), "registries.yaml", base=HERE)


def faults(text: str | bytes) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        understood(text)
    return caught.value.lines


def targets(text: str) -> str:
    return f"version: 1\ntargets:\n{text}"


def test_a_mistake_has_the_code_of_its_situation() -> None:
    unknown_name = "  - provider: acr\n    registri: x\n"
    too_long = "  - provider: acr\n    registry: acmeshop\n    expires-in: 120d\n    max-expires-in: 90d\n"
    with pytest.raises(InvalidFile) as caught:
        understood(targets(unknown_name + too_long))
    assert [(one["line"], one["code"]) for one in caught.value.places] == [
        (4, "PK-FILE-INVALID"),
        (7, "PK-EXPIRY-MAXIMUM"),
    ]


def test_defaults_hold_where_a_target_says_nothing_else() -> None:
    found = understood("""
version: 1
defaults:
  akka-project: shop
  rotate-after: 60d
  acr:
    expires-in: 90d
targets:
  - provider: acr
    registry: acmeshop
  - provider: acr
    registry: acmevault
    akka-project: billing
    expires-in: 120d
    rotate-after: 100d
""").entries
    assert [one.name for one in found] == ["shop/acmeshop-azurecr-io", "billing/acmevault-azurecr-io"]
    assert [one.rotate_after.days for one in found if one.rotate_after] == [60, 100]
    assert [one.values["expires_in"].days for one in found] == [90, 120]


def test_all_mistakes_are_told_at_once_each_with_line_column_and_the_nearest_word() -> None:
    told = faults("""version: 2
defaults:
  akka-projct: shop
targets:
  - provider: gcr
    servr: x
    skip-grant: no
  - provider: arc
  - provider: acr
    registry: acmeshop
    expires-in: 90
""")
    assert told == [
        "registries.yaml:1:10: version 1 is expected, and this is '2'. It may be of a newer pullkey",
        "registries.yaml:3:3: 'akka-projct' is not a valid name in the defaults. Did you mean akka-project?",
        "registries.yaml:6:5: 'servr' is not a valid name in a target of gcr. Did you mean server?",
        "registries.yaml:7:17: skip-grant is true or false, and this is 'no'. Write false",
        (
            f"registries.yaml:8:15: provider is one of {', '.join(plugins.names())}, and this is "
            "'arc'. Did you mean acr?"
        ),
        (
            "registries.yaml:11:17: expires-in is a time like 90d, 12h or 1h30m, and this is '90'. "
            "Write 90d for days"
        ),
    ]


def test_what_the_provider_finds_wrong_is_told_at_the_value_and_in_the_words_of_the_file() -> None:
    assert faults(targets("  - provider: acr\n    registry: no/such\n")) == [
        (
            "registries.yaml:4:5: registry: 'no/such' is not an Azure registry. It is a name of 5 to "
            "50 letters and digits, NAME.azurecr.io (.us, .cn), an image of it, or a resource id"
        )
    ]
    (told,) = faults(targets("  - provider: gcr\n    gcp-project: acme-shop\n"))
    assert told == "registries.yaml:3:5: No registry is named. Name it: server LOCATION-docker.pkg.dev"


SECRETS = [
    "hunter2-and-some-more",
    "dckr_pat_abcdefghijklmnop",
    "-----BEGIN PRIVATE KEY-----",
    "ghp_0123456789abcdef0123",
    '{"type": "service_account", "private_key": "abc"}',
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("name", ["password", "token", "client-secret", "username", "image", "provider"])
def test_a_secret_in_the_file_is_refused_where_one_is_looked_for_and_never_repeated(
    name: str, secret: str
) -> None:
    if secret.startswith("hunter2") and name in ("username", "image", "provider"):
        pytest.skip("nothing tells this from a name")
    told = faults(
        targets(
            f"  - provider: private\n    server: registry.example.com\n    {name}: {json.dumps(secret)}\n"
        )
    )
    assert secret not in "\n".join(told)
    assert all(piece not in "\n".join(told) for piece in re.findall(r"[a-z0-9]{12,}", secret))
    if name != "provider":
        assert any("env:NAME, file:PATH or command:PROGRAM" in line for line in told), told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: the file is empty"),
        ("\n# only a comment\n", "1:1: the file is empty"),
        ("- a\n", "1:1: version and targets are expected, and this is a list"),
        ("version: 1\ntargets:\n\t- provider: gcr\n", "3:1: a tab"),
        (targets(f"{GCR}    server: gcr.io\n"), "5:5: 'server' occurs twice; the first is in line 4"),
        ("version: 1\ndefaults: &all\n  akka-project: shop\n", "2:11: an anchor or alias"),
        (targets("  - &a [*a, *a]\n"), "3:5: an anchor or alias"),
        (targets("  - provider: gcr\n    <<: {server: gcr.io}\n"), "4:5: a merge key"),
        (targets("  - provider: !!python/object:os.system gcr\n"), "3:15: a tag"),
        (targets(GCR) + "---\nversion: 1\n", "5:1: a second document"),
        ("version: 1\ntargets: " + "[" * 2000, "2:"),
        (b"version: 1\ntargets:\n  - provider: g\xe9r\n", "3:16: the file is not valid UTF-8"),
        ("version: 1\n".encode("utf-16"), "1:1: the file is UTF-16"),
        ("version: 1\ntargets: \x07\n", "2:10: a character that cannot be printed"),
        (b"# " + b"x" * 10_000_000, "1:1: the file is 10.0 MB"),
        (targets("  - provider: gcr\n    server: [a, b]\n"), "4:13: server is a text, and this is a list"),
        (
            targets("  - provider: acr\n    registry: 12345\n"),
            "4:15: registry is a text, and this is a number",
        ),
        (targets("  - provider: acr\n    registry:\n"), "4:14: registry has no value"),
        (
            targets("  - provider: acr\n    registry: acmeshop\n    rotate-after: 365d\n"),
            "5:5: rotate-after (365d) is not shorter",
        ),
        (
            targets("  - provider: docker-hub\n    hub-user: acmebot\n    token: env:A\n    login: env:B\n"),
            "5:5: token supplies a token",
        ),
        (
            "version: 1\ndefaults:\n  auth-kind: token\ntargets:\n" + GCR,
            "3:3: 'auth-kind' is an option of acr only",
        ),
        (targets(GCR + GCR), "5:5: the same target is in line 3 already"),
        (
            targets(
                f"{GCR}    secret-name: one\n  - provider: acr\n    registry: acmeshop\n    "
                "secret-name: one\n"
            ),
            "6:5: a target with the Akka secret one is in line 3",
        ),
    ],
)
def test_what_yaml_allows_and_nobody_means_is_told_at_its_place(text: str | bytes, told: str) -> None:
    assert faults(text)[0].startswith(f"registries.yaml:{told}")


def test_words_that_older_yaml_takes_for_something_else_are_words() -> None:
    (one,) = understood("\ufeff" + targets(f"{GCR}    akka-project: no\n")).entries
    assert one.scope.project == "no"


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(12)
    )
    assert faults(bomb) == [
        (
            "registries.yaml:1:4: an anchor or alias (& or *), which is not read here. Write the value "
            "out, put what is the same for all under `defaults`, or put a text that begins with & or * "
            "in quotes"
        )
    ]


def test_many_mistakes_are_cut_off_with_their_number() -> None:
    told = faults(targets("  - provider: nobody\n" * 300))
    assert len(told) == 101
    assert told[-1] == "registries.yaml: and 200 more"


def test_two_thousand_targets_are_read() -> None:
    many = "".join(f"  - {{provider: acr, registry: acmeshop{n}}}\n" for n in range(2000))
    assert len(understood(targets(many)).entries) == 2000


def test_more_targets_than_an_identity_can_have_keys_are_refused() -> None:
    many = "".join(
        f"  - {{provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/r{n}}}\n" for n in range(10)
    )
    assert len(understood(targets(many)).entries) == 10
    removed = "  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/x, remove: true}\n"
    assert len(understood(targets(many + removed)).entries) == 11

    (told,) = faults(targets(many + removed.replace(", remove: true", "")))
    assert told.endswith(
        "11 targets use the service account akka-docker-reader@acme-shop.iam.gserviceaccount.com, "
        "which can have 10 keys. Give this one another service-account"
    )
    assert told.startswith("registries.yaml:13:")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    )
)
def test_whatever_the_file_holds_is_read_or_refused_with_a_place(data: bytes) -> None:
    lines: list[str] = []
    try:
        understood(data)
    except InvalidFile as error:
        lines = error.lines
    assert all(re.match(r"registries.yaml:\d+:\d+: .", line) for line in lines)


# -- schema and parser ---------------------------------------------------------------------------------------

_NAMES = sorted({name for provider in plugins.names() for name in target_fields(provider)})
_WORDS = [
    "shop",
    "90d",
    "1h30m",
    "0",
    "env:A",
    "file:a",
    "command:x",
    "env:1",
    "create",
    "true",
    "-x",
    "a\nb",
    "90d\n",
    "env:A\n",
    "\u202e",
    "ghp_0123456789abcdef",
    "public",
    "x" * 2001,
    "400000d",
    "",
]
_VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(_WORDS),
    st.booleans(),
    st.none(),
    st.integers(-3, 3),
    st.just(0.0),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.lists(st.just("a"), max_size=2),
    st.just({}),
)


def _some(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(
        st.one_of(st.sampled_from(names), st.just("unknown"), st.just("password")), _VALUES, max_size=3
    )


def _good(fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    values = {
        "text": st.just("shop"),
        "switch": st.booleans(),
        "duration": st.sampled_from(["60d", 0, "0", "1h30m"]),
        "source": st.sampled_from(["env:A", "file:/a", "command:pass show a"]),
    }
    return st.fixed_dictionaries(
        {},
        optional={
            name: values[str(one.kind)] if str(one.kind) in values else st.sampled_from(one.choices)
            for name, one in fields.items()
        },
    )


def _target(provider: str) -> st.SearchStrategy[dict[str, Any]]:
    fields = target_fields(provider)
    one_odd = st.builds(lambda name, value: {name: value}, st.sampled_from(sorted(fields)), _VALUES)
    own = st.one_of(one_odd, _good(fields), _some(_NAMES))
    return own.map(lambda values: {"provider": provider, **values})


_TARGET = st.one_of(*map(_target, plugins.names()))
_TARGETS = st.one_of(
    st.lists(_TARGET, min_size=1, max_size=1),
    st.lists(st.one_of(_TARGET, _some(_NAMES), _VALUES), max_size=3),
)
_DEFAULTS = st.one_of(
    st.builds(lambda common, own: {**common, "acr": own}, _good(default_fields()), _good(own_fields("acr"))),
    _some([*default_fields(), "acr", "gcr", "registry"]),
)
_DOCUMENTS = st.fixed_dictionaries(
    {
        "version": st.one_of(st.just(1), st.just(1), _VALUES),
        "targets": st.one_of(_TARGETS, _TARGETS, _TARGETS, _VALUES),
    },
    optional={"defaults": _DEFAULTS},
)


def _takes(document: Any) -> bool:
    node, twice = read(decode(json.dumps(document, ensure_ascii=False).encode()))
    _, wrong = shape_of(node)
    return not twice and not wrong


SCHEMA = Draft202012Validator(registries_schema())


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(_DOCUMENTS)
def test_the_schema_takes_what_the_parser_takes_and_nothing_else(document: Any) -> None:
    try:
        takes = _takes(document)
    except NotReadable:
        takes = False
    assert takes == SCHEMA.is_valid(document), list(SCHEMA.iter_errors(document))


@pytest.mark.parametrize("provider", plugins.names())
def test_each_name_takes_the_same_words_in_the_schema_as_in_the_parser(provider: str) -> None:
    for name in target_fields(provider):
        words: list[Any] = [*_WORDS, True, 0, 0.0, 1, None, [], {}]
        for word in words:
            document = {"version": 1, "targets": [{"provider": provider, name: word}]}
            assert _takes(document) == SCHEMA.is_valid(document), (name, word)


def _whole(provider: str) -> st.SearchStrategy[dict[str, Any]]:
    return _good(target_fields(provider)).map(lambda values: {"provider": provider, **values})


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(*map(_whole, plugins.names())), min_size=1, max_size=3))
def test_what_has_the_form_is_understood_or_refused_at_a_place(found: list[dict[str, Any]]) -> None:
    document = {"version": 1, "targets": found}
    assert SCHEMA.is_valid(document)
    with contextlib.suppress(InvalidFile):
        understood(json.dumps(document))


def test_the_schema_is_one_and_is_what_the_command_prints() -> None:
    Draft202012Validator.check_schema(registries_schema())
    done = subprocess.run(
        [sys.executable, "-m", "bootstrap", "schema", "registries"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == registries_schema()
