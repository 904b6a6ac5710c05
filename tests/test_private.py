"""`pullkey onboard private`, whole, against the sandbox's registry; what is refused, and what a second run
does.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp.web import Request
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.model.akka_record import HeldCredential
from bootstrap.model.deadline import Deadline
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.model.key_ref import KeyRef
from bootstrap.model.secret import Secret
from bootstrap.plugin.context import RunContext
from bootstrap.sandbox.registry.answers import basic_login
from bootstrap.testing.harness.world import World
from providers.private import provider
from providers.private.emulator import ELSEWHERE, HOST, TOKENS
from providers.private.session import PrivateSession
from providers.private.short_lived import expiry_of
from providers.private.target import PrivateTarget
from tests.harness.private_registry import NAME, PASSWORD, onboard_with_password

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)


class TestOnboarding:
    def test_akka_holds_the_password_that_was_proven(self, private: World) -> None:
        done = onboard_with_password(private, "--output", "json")
        assert done.code == 0, done.text
        held = private.held(NAME)
        assert (held.server, held.username, held.password) == (f"https://{HOST}/v1/", "ops", PASSWORD)
        assert held.email == f"pullkey+{done.json['credential']['key_id']}@{HOST}"
        assert "reads the manifest" in done.json["proven"]
        assert private.changes() == ["akka.docker.add-credentials"]

    def test_with_the_realm_on_another_host_of_the_same_owner(self, private: World) -> None:
        private.cloud.registry.realm = TOKENS
        done = onboard_with_password(private)
        assert done.code == 0, done.text
        assert set(private.cloud.registry.got_password) == {TOKENS}

    def test_a_realm_of_somebody_else_is_not_sent_the_password(self, private: World) -> None:
        private.cloud.registry.realm = ELSEWHERE
        done = onboard_with_password(private)
        assert done.code == 3, done.text
        assert ELSEWHERE in done.err
        assert private.cloud.registry.got_password == []

    def test_basic_authentication_without_an_image(self, private: World) -> None:
        private.cloud.registry.mode = "basic"
        done = onboard_with_password(private, "--output", "json", env={"PULLKEY_PRIVATE_IMAGE": ""})
        assert done.code == 0, done.text
        assert done.json["proven"] is None
        assert f"it is accepted by {HOST}; no image was named to try a pull of" in done.err

    def test_the_address_of_a_person_is_kept(self, private: World) -> None:
        assert onboard_with_password(private, "--email", "Jo.Doe+akka@Example.com").code == 0
        link = KeyRef.parse(private.held(NAME).email)
        assert link is not None
        assert (link.name, link.domain) == ("Jo.Doe+akka", "example.com")

    def test_a_host_alone_is_completed(self, private: World) -> None:
        assert onboard_with_password(private, "--server", HOST.upper()).code == 0
        assert private.held(NAME).server == f"https://{HOST}/v1/"

    def test_the_version_of_the_api_is_kept_as_typed(self, private: World) -> None:
        assert onboard_with_password(private, "--server", f"https://{HOST}/v2/").code == 0
        assert private.held(NAME).server == f"https://{HOST}/v2/"

    def test_a_plan_asks_for_nothing(self, private: World) -> None:
        planned = private.run("plan", "private")
        assert planned.code == 0, planned.text
        assert "Use the password of ops" in planned.text
        assert private.cloud.registry.got_password == []

    def test_without_a_terminal_and_without_a_password(self, private: World) -> None:
        done = private.onboard()
        assert done.code == 2
        assert f"The password of ops at {HOST} is needed" in done.err
        assert private.changes() == []


class TestRefusedAtOnce:
    @pytest.mark.parametrize("mode", ["bearer", "basic"])
    @pytest.mark.parametrize("image", [{}, {"PULLKEY_PRIVATE_IMAGE": ""}])
    def test_a_wrong_password(self, private: World, mode: str, image: dict[str, str]) -> None:
        private.cloud.registry.mode = mode
        done = onboard_with_password(
            private, "--timeout", "100s", "--output", "json", password="not-the-password", env=image
        )
        assert done.code == 1, done.text
        assert f"{HOST} does not take this password of ops" in done.json["error"]["what"]
        assert "later" not in done.json["error"]["fix"]
        # One try, since each wrong one counts towards a lock-out; and no wait.
        assert len(private.cloud.registry.got_password) == 1
        assert private.names() == []
        assert private.changes() == []
        assert "not-the-password" not in done.text

    def test_a_user_who_may_not_pull_it(self, private: World) -> None:
        done = onboard_with_password(private, "--username", "press", password="read-the-news-here")
        assert done.code == 1, done.text
        assert f"{HOST} does not let press pull shop/checkout" in done.err
        assert private.changes() == []

    def test_an_image_that_is_not_there(self, private: World) -> None:
        done = onboard_with_password(private, "--image", f"{HOST}/shop/checkout:2.0")
        assert done.code == 1
        assert f"{HOST} has no shop/checkout:2.0" in done.err
        assert private.changes() == []

    def test_a_passing_fault_is_waited_out(self, private: World) -> None:
        private.fault("private.GetToken=503*2")
        done = onboard_with_password(private, "--timeout", "30s")
        assert done.code == 0, done.text

    def test_a_certificate_of_an_unknown_authority(self, private: World) -> None:
        import certifi

        done = onboard_with_password(private, env={"SSL_CERT_FILE": certifi.where()})
        assert done.code == 3, done.text
        assert f"The TLS certificate of {HOST} does not verify" in done.err
        assert "SSL_CERT_FILE=FILE" in done.err
        assert "Akka" in done.err
        assert private.cloud.registry.got_password == []

    def test_a_certificate_of_another_name(self, private: World) -> None:
        reach = {"PULLKEY_REGISTRY_CONNECT_TO": f"registry.other.example=127.0.0.1:{private.cloud.port}"}
        done = onboard_with_password(
            private, "--server", "registry.other.example", env={**reach, "PULLKEY_PRIVATE_IMAGE": ""}
        )
        assert done.code == 3, done.text
        assert "The TLS certificate of registry.other.example does not verify" in done.err

    def test_a_short_lived_password_is_not_even_tried(self, private: World) -> None:
        text = jwt(exp=(dt.datetime.now(dt.UTC) + dt.timedelta(hours=3, minutes=1)).timestamp())
        done = onboard_with_password(private, password=text)
        assert done.code == 2
        assert "expires in 3 hours" in done.err
        assert text not in done.text
        assert private.cloud.registry.got_password == []
        assert private.names() == []


class TestOpenToAll:
    def test_a_registry_that_asks_for_nothing(self, private: World) -> None:
        private.cloud.registry.mode = "open"
        done = onboard_with_password(private, "--output", "json")
        assert done.code == 0, done.text
        assert done.json["result"] == "unneeded"
        assert private.names() == []

    def test_an_image_for_everybody(self, private: World) -> None:
        private.cloud.registry.public = ("shop/",)
        done = private.onboard("--output", "json")
        assert (done.code, done.json["result"]) == (0, "unneeded"), done.text
        assert private.cloud.registry.got_password == []

    def test_anyway(self, private: World) -> None:
        private.cloud.registry.mode = "open"
        done = onboard_with_password(
            private, "--anyway", "--output", "json", env={"PULLKEY_PRIVATE_IMAGE": ""}
        )
        assert done.code == 0, done.text
        # Nothing is claimed of a password that nobody has asked for.
        assert done.json["proven"] is None
        assert f"it was not tried: {HOST} asks for no credential" in done.err
        assert private.held(NAME).password == PASSWORD


class TestOpenAtItsDoor:
    """`/v2/` answers anyone, and a repository asks for a login: zot, Artifactory with anonymous access."""

    @pytest.fixture(autouse=True)
    def open_door(self, private: World) -> None:
        policy = private.cloud.registry
        policy.mode, authorize = "basic", policy.authorize

        def without_door(request: Request, scope: Any) -> None:
            if scope is not None or basic_login(request) is not None:
                authorize(request, scope)

        policy.authorize = without_door

    def test_without_an_image_nothing_is_concluded(self, private: World) -> None:
        done = onboard_with_password(private, env={"PULLKEY_PRIVATE_IMAGE": ""})
        assert done.code == 3, done.text
        assert "--image" in done.err
        assert "--anyway" in done.err
        assert private.cloud.registry.got_password == []

    def test_a_wrong_password_does_not_replace_a_good_one(self, private: World) -> None:
        assert onboard_with_password(private).code == 0
        before = private.held(NAME)

        rotate = ("rotate", NAME, "--yes", "--secret-stdin")
        for image in ("", f"{HOST}/shop/checkout:1.0"):
            done = private.run(*rotate, stdin="not-the-password", env={"PULLKEY_PRIVATE_IMAGE": image})
            assert done.code == 1, done.text
            assert f"{HOST} does not take this password of ops" in done.err
        assert private.held(NAME) == before

        private.cloud.registry.add_user("ops", "a-newer-password", may_pull=("shop/",))
        done = private.run(*rotate, stdin="a-newer-password", env={"PULLKEY_PRIVATE_IMAGE": ""})
        assert done.code == 0, done.text
        assert "--anyway" not in done.err
        assert private.held(NAME).password == "a-newer-password"


class TestSecondRuns:
    def test_nobody_is_asked_again(self, private: World) -> None:
        first = onboard_with_password(private, "--output", "json").json["credential"]["key_id"]
        again = private.onboard()
        assert again.code == 0, again.text
        assert "Everything is in place" in again.err
        assert first in private.held(NAME).email
        assert private.changes() == ["akka.docker.add-credentials"]

    def test_a_password_that_is_given_is_proven_and_handed_off_anew(self, private: World) -> None:
        onboard_with_password(private)
        old = private.held(NAME)
        private.cloud.registry.add_user("ops", "a-newer-password", may_pull=("shop/",))
        done = onboard_with_password(private, password="a-newer-password")
        assert done.code == 0, done.text
        new = private.held(NAME)
        assert new.password == "a-newer-password"
        assert new.email != old.email

    def test_a_worse_password_does_not_replace_a_good_one(self, private: World) -> None:
        onboard_with_password(private)
        before = private.held(NAME)
        assert onboard_with_password(private, password="not-the-password").code == 1
        assert private.held(NAME) == before

    def test_another_user_is_asked_for(self, private: World) -> None:
        onboard_with_password(private)
        private.cloud.registry.add_user("next", "the-next-password", may_pull=("shop/",))
        done = onboard_with_password(private, "--username", "next", password="the-next-password")
        assert done.code == 0, done.text
        assert private.held(NAME).username == "next"

    def test_what_was_not_made_by_pullkey_is_replaced_only_by_what_pulls(self, private: World) -> None:
        add = [
            str(private.akka.cli),
            "docker",
            "add-credentials",
            f"--secret-name={NAME}",
            f"--docker-server=https://{HOST}/v1/",
            "--docker-username=ops",
            "--docker-email=ops@example.com",
            "--docker-password=an-older-one",
            "--project=shop",
        ]
        subprocess.run(add, env=private.running.process_environment(), check=True, capture_output=True)
        assert private.onboard().code == 2
        assert onboard_with_password(private).code == 0
        assert private.held(NAME).password == PASSWORD


@pytest.mark.parametrize(
    "arguments", [(), ("--email", "jo.doe@example.com"), ("--server", f"{HOST}:5000", "--image", "")]
)
def test_the_runbook_is_bash(private: World, arguments: tuple[str, ...]) -> None:
    script = private.run("runbook", "private", *arguments)
    assert script.code == 0, script.text
    subprocess.run(["bash", "-n"], input=script.out, text=True, check=True)
    assert "read -rs" in script.out
    assert "again log_in" not in script.out  # a password that was brought is good, or it is not


def test_the_runbook_without_a_password_ends_at_once(private: World, tmp_path: Path) -> None:
    script = tmp_path / "steps.sh"
    script.write_text(private.run("runbook", "private").out)
    done = subprocess.run(
        ["bash", script],
        env=private.running.process_environment(),
        input="\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    assert "No password was supplied" in done.stderr
    assert private.changes() == []


def test_the_runbook_hands_off(private: World, tmp_path: Path) -> None:
    script = tmp_path / "steps.sh"
    script.write_text(private.run("runbook", "private", "--email", "jo.doe@example.com").out)
    done = subprocess.run(
        ["bash", script],
        env=private.running.process_environment(PULLKEY_RUNBOOK_LOGIN="no", PULLKEY_RUNBOOK_PAUSE="0"),
        input=PASSWORD,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    held = private.held(NAME)
    assert (held.server, held.username, held.password) == (f"https://{HOST}/v1/", "ops", PASSWORD)
    link = KeyRef.parse(held.email)
    assert link is not None
    assert (link.name, link.domain) == ("jo.doe", "example.com")
    assert PASSWORD not in done.stdout + done.stderr
    # And pullkey knows it for its own.
    assert private.onboard("--output", "json").json["result"] == "unchanged"


# -- without a registry --------------------------------------------------------------------------------------


def parse(**values: Any) -> PrivateTarget:
    return PrivateTarget.parse({"server": "registry.example.com", "username": "ops", **values})


@pytest.mark.parametrize(
    ("server", "handed_off", "host"),
    [
        (
            "https://mycontainerregistry.example.com/v1/",
            "https://mycontainerregistry.example.com/v1/",
            "mycontainerregistry.example.com",
        ),
        (
            "https://registry.example.com:5000/v2",
            "https://registry.example.com:5000/v2/",
            "registry.example.com:5000",
        ),
        ("registry.example.com", "https://registry.example.com/v1/", "registry.example.com"),
        ("registry.example.com:5000/", "https://registry.example.com:5000/v1/", "registry.example.com:5000"),
        ("registry.example.com/v2/", "https://registry.example.com/v2/", "registry.example.com"),
        ("https://Registry.Example.com", "https://registry.example.com/v1/", "registry.example.com"),
    ],
)
def test_servers(server: str, handed_off: str, host: str) -> None:
    target = parse(server=server)
    assert (target.server, target.registry) == (handed_off, host)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"server": ""}, "No registry is named"),
        ({"username": ""}, "No user name was supplied"),
        ({"server": "http://registry.example.com/v1/"}, "unencrypted"),
        ({"server": "HTTP://registry.example.com"}, "unencrypted"),
        ({"server": "ftp://registry.example.com"}, "must be https"),
        ({"server": "https://registry.example.com/v3/"}, "/v1/ or /v2/"),
        ({"server": "https://registry.example.com/harbor/v1/"}, "/v1/ or /v2/"),
        ({"server": "registry.example.com/shop/checkout:1.0"}, "/v1/ or /v2/"),
        ({"server": "registry.example.com:99999"}, "no valid port"),
        ({"server": "[2001:db8::1]:5000"}, "IPv6 address"),
        ({"server": "reg\u0456stry.example.com"}, "printable ASCII"),
        ({"image": "other.example.com/shop/checkout:1.0"}, "name one registry"),
        ({"image": "registry.example.com:5000/shop/checkout:1.0"}, "name one registry"),
        ({"image": "registry.example.com"}, "names no image"),
        ({"username": "ops:secret"}, "colon"),
        ({"username": "op\x1b[2Js"}, "is not a valid user name"),
        ({"username": " ops"}, "is not a valid user name"),
        ({"email": "ops"}, "not a valid e-mail address"),
        ({"email": "ops@example.com\x07"}, "not a valid e-mail address"),
        ({"email": f"{'o' * 60}@example.com"}, "room for the run's id"),
        ({"server": "123456789012.dkr.ecr.eu-west-1.amazonaws.com"}, "12 hours"),
        ({"server": "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/v1/"}, "12 hours"),
        ({"server": "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com"}, "12 hours"),
        ({"server": "123456789012.dkr-ecr.eu-west-1.on.aws"}, "12 hours"),
        ({"server": "public.ecr.aws"}, "allows anonymous pulls"),
        ({"server": "acr.us-east-1.akka.io"}, "Akka's own registry"),
        ({"server": "kcr.us-east-1.kalix.io"}, "Akka's own registry"),
        ({"server": "https://index.docker.io/v1/"}, "Docker Hub"),
        ({"server": "registry-1.docker.io"}, "Docker Hub"),
        ({"username": "oauth2accesstoken"}, "an hour"),
        ({"username": "00000000-0000-0000-0000-000000000000"}, "3 hours"),
        ({"username": "gitlab-ci-token"}, "expires with its job"),
        ({"server": "cr.yandex", "username": "iam"}, "12 hours"),
        ({"server": "registry.yandexcloud.net", "username": "iam"}, "12 hours"),
        ({"username": "cr_temp_user"}, "an hour"),
    ],
)
def test_what_cannot_be_used_is_told(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageProblem, match=said.replace("/", "\\/")) as raised:
        parse(**values)
    assert "\x1b" not in raised.value.what
    assert "\x07" not in raised.value.what


def test_a_password_in_the_url_is_not_repeated() -> None:
    with pytest.raises(UsageProblem) as raised:
        parse(server="https://ops:hunter2@registry.example.com/v1/")
    assert "hunter2" not in raised.value.what + raised.value.fix


def test_names_that_only_look_like_those() -> None:
    for host in (
        "akka.io.example.com",
        "acr.example.com",
        "dkr.ecr.example.com",
        "mydocker.io",
        "acr.akka.io.example.com",
    ):
        assert parse(server=host).registry == host
    assert parse(username="AWS").username == "AWS"
    assert parse(username="iam").username == "iam"
    assert parse(server="cr.yandex", username="json_key").username == "json_key"


def test_an_image_alone_names_the_registry() -> None:
    target = PrivateTarget.parse({"image": "registry.example.com:5000/shop/checkout:1.0", "username": "ops"})
    assert target.server == "https://registry.example.com:5000/v1/"
    assert (
        parse(server="https://registry.example.com:443/v1/", image="registry.example.com/a/b").repository
        == "a/b"
    )


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_typed_is_a_target_or_a_usage_problem(server: str, username: str) -> None:
    try:
        target = parse(server=server, username=username)
    except UsageProblem:
        return
    assert target.server.lower().startswith("https://")
    assert target.server.isprintable()
    assert target.username.isprintable()


LOCAL_PARTS = st.from_regex(r"[A-Za-z0-9_%-]+(?:[.+][A-Za-z0-9_%+-]+)*", fullmatch=True).filter(
    lambda text: len(text) <= 51
)
LABELS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
RUN_IDS = st.from_regex(r"[0-9a-f]{12}", fullmatch=True)


@given(LOCAL_PARTS, LABELS, LABELS, RUN_IDS)
def test_every_address_leads_back_to_its_run_and_target(
    local: str, label: str, domain: str, run: str
) -> None:
    target = parse(email=f"{local}@{label}.{domain}")
    link = target.link(run)
    assert KeyRef.parse(str(link)) == link == KeyRef(local, link.key_id, f"{label}.{domain}")
    assert link.key_id.partition("-")[0] == run  # the moment follows, where there is room
    held = HeldCredential("name", target.server, target.username, str(link), "OK")
    found = PrivateTarget.of_record(held, image=None).link(run)
    assert (found.name, found.domain, found.key_id.partition("-")[0]) == (link.name, link.domain, run)


# A name that ends in a number is read as an address ("URL Standard", host parsing), and refused as an odd
# one.
TOP_LABELS = st.from_regex(r"[a-z][a-z-]{0,8}[a-z]", fullmatch=True)


@given(LABELS, TOP_LABELS, st.integers(1, 65535), RUN_IDS)
def test_without_an_address_it_is_the_registrys_host(label: str, domain: str, port: int, run: str) -> None:
    target = parse(server=f"{label}.{domain}:{port}")
    link = target.link(run)
    assert KeyRef.parse(str(link)) == link == KeyRef("pullkey", link.key_id, f"{label}.{domain}")
    assert link.key_id.partition("-")[0] == run


# -- passwords -----------------------------------------------------------------------------------------------


def b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def jwt(**claims: Any) -> str:
    return f"{b64(json.dumps({'alg': 'RS256', 'typ': 'JWT'}))}.{b64(json.dumps(claims))}.{b64('signature')}"


ECR = base64.b64encode(
    json.dumps(
        {"payload": "cGF5", "datakey": "AQEB", "version": "2", "type": "DATA_KEY", "expiration": 1757147299}
    ).encode()
).decode()


@pytest.mark.parametrize(
    ("password", "said"),
    [
        (ECR, "Amazon ECR"),
        (ECR.rstrip("="), "Amazon ECR"),
        (base64.b64encode(f"AWS:{ECR}".encode()).decode(), "Amazon ECR"),
        ("ya29.a0AfB_made-up", "Google access token"),
        ("ghs_madeupmadeup", "GitHub"),
        (f"ghs_12345_{jwt(exp=1)}", "GitHub"),
        ("glcbt-64_madeup", "GitLab CI job"),
        (f"acme-glcbt-{jwt(exp=1)}", "GitLab CI job"),
        (jwt(exp=NOW.timestamp() - 1), "expired at 2026-04-30 23:59 UTC"),
        (jwt(exp=NOW.timestamp() + 3 * 3600), "expires in 3 hours"),
        (jwt(exp=NOW.timestamp() + 29 * 86400), "expires in 29 days"),
        (jwt(exp=NOW.timestamp() + 30), "less than a minute"),
        ("first line\nsecond line", "control character"),
        ('{\n  "id": "ajexample",\n  "private_key": "made-up"\n}', "JSON of several lines"),
        ("with-\x1b[2J-escape", "control character"),
        ("trailing-space ", "space"),
    ],
)
def test_passwords_that_cannot_last_are_refused_and_not_repeated(password: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said.replace("(", "\\(")) as raised:
        expiry_of(Secret(password), now=NOW)
    assert password not in raised.value.what + raised.value.fix


def test_passwords_that_last() -> None:
    for password in (
        "hunter2",
        "glpat-madeup",
        "gldt-madeup",
        "ghp_madeup",
        "a.b.c",
        jwt(sub="robot"),
        jwt(exp="soon"),
        jwt(exp=True),
        jwt(exp=1e300),
        "пароль",
        "{}",
        b64("{}"),
        "eyJ.eyJ.eyJ",
    ):
        assert expiry_of(Secret(password), now=NOW) is None
    later = NOW + dt.timedelta(days=365)
    assert expiry_of(Secret(jwt(exp=later.timestamp())), now=NOW) == later


@given(st.text(max_size=200))
def test_any_text_is_a_password_or_refused(text: str) -> None:
    refusal = ""
    try:
        assert expiry_of(Secret(text), now=NOW) is None
    except UsageProblem as error:
        refusal = error.what + error.fix
    assert len(text) < 12 or text not in refusal


def test_the_end_of_a_token_is_told(private: World) -> None:
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=200)
    token = jwt(exp=ends.timestamp())
    private.cloud.registry.add_user("ops", token, may_pull=("shop/",))
    done = onboard_with_password(private, "--output", "json", password=token)
    assert done.code == 0, done.text
    assert done.json["credential"]["ends"][:10] == f"{ends:%Y-%m-%d}"


# -- what the rest of pullkey asks of a session --------------------------------------------------------------


def session(**values: Any) -> PrivateSession:
    context = RunContext(Deadline(5), lambda _: None, lambda _: None)
    return PrivateSession(parse(**values), context)


def test_a_brought_password_is_not_ours_to_delete() -> None:
    opened = session()
    assert (opened.key.supplied, opened.key.can_disable, opened.waits_for_spreading) == (True, False, False)
    facts = asyncio.run(opened.key.facts("0123456789ab"))
    assert facts is not None
    assert (facts.key_id, facts.created, facts.expires) == ("0123456789ab", None, None)
    with pytest.raises(PullkeyError) as raised:
        asyncio.run(opened.key.delete("0123456789ab"))
    assert "Revoke it at registry.example.com" in raised.value.fix
    assert opened.key.delete_command("0123456789ab").startswith("#")


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("europe-west1-docker.pkg.dev", "pullkey onboard gcr"),
        ("acmeshop.azurecr.io", "pullkey onboard acr"),
        ("10.1.2.3:5000", "your own network only"),
        ("nexus", "your own network only"),
        ("registry.corp.internal", "your own network only"),
    ],
)
def test_notices(server: str, said: str) -> None:
    findings = asyncio.run(session(server=server).preflight())
    assert findings.problems == []
    assert [said in notice.text for notice in findings.notices] == [True]


def test_nothing_to_notice() -> None:
    assert asyncio.run(session().preflight()).notices == []
    assert asyncio.run(session(server="192.0.43.8").preflight()).notices == []


def test_a_record_leads_back_to_its_target() -> None:
    held = HeldCredential(
        "r", "https://registry.example.com/v1/", "ops", "pullkey+0123456789ab@registry.example.com", "OK"
    )
    context = RunContext(Deadline(5), lambda _: None, lambda _: None)
    found = asyncio.run(provider.locate(held, context, {"image": "registry.example.com/a/b:1"}))
    assert found == parse(server="https://registry.example.com/v1/", image="registry.example.com/a/b:1")
    assert provider.fallback
    assert provider.recognises(held)


class TestTheRestOfItsLife:
    def test_a_new_password_takes_the_place_of_the_old(self, private: World) -> None:
        onboard_with_password(private)
        old = private.held(NAME)
        private.cloud.registry.add_user("ops", "a-newer-password", may_pull=("shop/",))
        done = private.run("rotate", NAME, "--secret-stdin", "--yes", stdin="a-newer-password")
        assert done.code == 0, done.text
        new = private.held(NAME)
        assert (new.password, new.server, new.username) == ("a-newer-password", old.server, old.username)
        assert new.email != old.email
        link = KeyRef.parse(new.email)
        assert link is not None
        # What is behind the old one is nobody's to delete here, so the record need not remember it.
        assert link.replaces == ""

    def test_a_rotation_with_a_wrong_password_changes_nothing(self, private: World) -> None:
        onboard_with_password(private)
        before = private.held(NAME)
        done = private.run("rotate", NAME, "--secret-stdin", "--yes", stdin="not-the-password")
        assert done.code == 1, done.text
        assert private.held(NAME) == before

    def test_offboarding_leaves_the_password_to_whoever_made_it(self, private: World) -> None:
        onboard_with_password(private)
        done = private.run("offboard", NAME, "--yes")
        assert done.code == 0, done.text
        assert private.names() == []
        assert "revoke the password of ops" in done.text

    def test_it_is_listed_and_verified(self, private: World) -> None:
        onboard_with_password(private, "--email", "jo.doe@example.com")
        listed = private.run("list", "--output", "json")
        assert listed.code == 0, listed.text
        (one,) = listed.json["credentials"]
        assert (one["name"], one["provider"]) == (NAME, "private")
        assert private.run("verify", NAME).code == 0
        proven = private.run("verify", NAME, "--credential-stdin", stdin=PASSWORD)
        assert proven.code == 0, proven.text
        assert private.run("verify", NAME, "--credential-stdin", stdin="not-the-password").code == 5

    def test_the_doctor_has_nothing_to_look_at(self, private: World) -> None:
        told = private.run("doctor", "private")
        assert "nothing to look at without a registry" in told.text
