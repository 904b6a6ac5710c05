"""Google's recorded exchanges, sent to `providers/gcr/emulator`."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.iam.v1 import policy_pb2
from google.protobuf import json_format

from bootstrap.sandbox.replicas import Replicas
from bootstrap.testing.harness.running_sandbox import RunningSandbox
from providers.gcr.emulator import GoogleEmulator
from providers.gcr.emulator.policy import AllowPolicy
from providers.gcr.emulator.state import (
    ENABLED_SERVICES,
    Project,
    ServiceAccount,
    generate_private_key,
)
from tests.recorded.comparison import Answer, Exchange, form_of

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PLACEHOLDERS = frozenset({"abcdef0123A=", "0123401234"})
"""What the recordings' authors put in place of an etag."""
API_HOSTS = frozenset(
    f"{name}.googleapis.com"
    for name in (
        "iam",
        "cloudresourcemanager",
        "artifactregistry",
        "serviceusage",
        "orgpolicy",
        "cloudkms",
        "compute",
    )
)
REGISTRY_HOST = re.compile(r"(.*-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)$")
LONG_AGO = dt.timedelta(days=30)


class _Late(Replicas):
    """Replicas of which the one that does not know what is new answers everything."""

    def __init__(self, now: Callable[[], dt.datetime], *, denies: bool) -> None:
        super().__init__(now, consistency="real", lag=3600)
        self._denies = denies

    def chance(self, *about: str) -> float:
        return 0.0 if about[0] == "denied" and self._denies else 0.9


class Google:
    """The emulator in a sandbox of its own; each exchange finds a world of its own."""

    name = "google"

    def __init__(self, running: RunningSandbox, emulator: GoogleEmulator) -> None:
        self._sandbox = running.sandbox
        self._emulator = emulator
        self._state = emulator.state
        self._client = httpx.Client(verify=False, timeout=30)
        self._own = dict(self._state.projects)
        self._key = generate_private_key()
        self._state.organization.grant(
            "roles/owner", f"serviceAccount:{self._state.operator}", since=self._state.now() - LONG_AGO
        )
        self._account: ServiceAccount | None = None
        self._operation = ""

    # -- preparing -------------------------------------------------------------------------------------------

    def prepare(self, exchange: Exchange) -> None:
        """Put the project, account, key, repository that the URL names into an otherwise empty Google."""
        state = self._state
        state.projects.clear()
        state.projects.update(self._own)
        state.denied_permissions.clear()
        state.custom_roles.clear()
        state.former_key_limit = exchange.status == 429
        state.replicas = self._sandbox.replicas
        self._account = None
        message = _message(exchange)
        if exchange.status == 403 and "may not exist" not in message:
            self._deny(exchange)
        if exchange.host in API_HOSTS:
            self._prepare_api(exchange, message)
        elif exchange.host == "oauth2.googleapis.com":
            self._prepare_token(message)
        elif REGISTRY_HOST.match(exchange.host):
            self._prepare_registry(exchange)

    def _deny(self, exchange: Exchange) -> None:
        """Let the operator lack what the call needs."""
        verb = exchange.path.rpartition(":")[2]
        kind = (
            "artifactregistry.repositories"
            if "/repositories/" in exchange.path
            else "resourcemanager.projects"
        )
        self._state.denied_permissions.add(f"{kind}.{verb if ':' in exchange.path else 'get'}")

    def _prepare_api(self, exchange: Exchange, message: str) -> None:
        parts = exchange.path.strip("/").split("/")[1:]
        if len(parts) >= 2 and parts[0] == "projects":
            project_id, _, _ = parts[1].partition(":")
        else:
            project_id = ""
        body = exchange.response_body if isinstance(exchange.response_body, dict) else {}
        for one in body.get("projects", ()):
            self._project(one["projectId"], one)
        if not project_id:
            if parts[:1] == ["operations"]:
                self._begin_operation(exchange)
            return
        if project_id == "-":
            email = parts[3].partition(":")[0]
            project_id = email.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
        if exchange.status == 403 and exchange.host.startswith("cloudresourcemanager"):
            return
        project = self._project(project_id, body)
        match parts[2:]:
            case ["serviceAccounts", *rest]:
                self._prepare_account(exchange, project, rest, message)
            case ["locations", location, "repositories", *rest] if exchange.status != 404:
                self._prepare_repositories(exchange, project, location, rest)
            case ["services", service]:
                if body.get("state") == "ENABLED":
                    project.services[service.partition(":")[0]] = project.created
            case []:
                self._prepare_policy(exchange, project.policy)
                if exchange.path.endswith(":testIamPermissions"):
                    # What is held is whatever the answer says.
                    role = f"projects/{project.id}/roles/recorded"
                    self._state.custom_roles[role] = frozenset(body.get("permissions", ()))
                    project.policy.grant(
                        role, f"serviceAccount:{self._state.operator}", since=project.created
                    )
        self._members_of(exchange)

    def _project(self, project_id: str, shown: Mapping[str, Any]) -> Project:
        number = str(shown.get("projectNumber") or "712345678901")
        if project_id not in self._state.projects:
            self._state.add_project(project_id, number, services=ENABLED_SERVICES)
        project = self._state.projects[project_id]
        project.display_name = ""
        return project

    def _prepare_account(self, exchange: Exchange, project: Project, rest: list[str], message: str) -> None:
        body = exchange.response_body if isinstance(exchange.response_body, dict) else {}
        if not rest:
            for shown in body.get("accounts", ()):
                self._add_account(project, shown["email"], shown)
            asked = exchange.request_body if isinstance(exchange.request_body, dict) else {}
            if exchange.method == "POST" and exchange.status == 409:
                self._add_account(project, f"{asked['accountId']}@{project.id}.iam.gserviceaccount.com", {})
            return
        subject = rest[0].partition(":")[0]
        never_there = ("Unknown service account", "Gaia id not found")
        if any(words in message for words in never_there):
            return
        named = str(body.get("name", "")).split("/")
        email = subject if "@" in subject else named[3]
        account = self._add_account(project, email, body)
        if "@" not in subject:
            account.unique_id = subject
        self._prepare_keys(exchange, account, rest[1:], body)
        if message.startswith("Account deleted") or (
            exchange.status == 403 and "/projects/-/" in exchange.path
        ):
            self._state.delete_account(account)
        elif message.startswith("Service account projects/"):
            self._lag(account, denies=False)
        elif exchange.status == 403 and exchange.method == "GET":
            self._lag(account, denies=True)
        if exchange.path.endswith(":getIamPolicy"):
            _put(account.policy, body, self._state.now() - LONG_AGO)
        for violation in _violations(body):
            project.constraints[violation.removeprefix("constraints/")] = True

    def _add_account(self, project: Project, email: str, shown: Mapping[str, Any]) -> ServiceAccount:
        account_id = email.partition("@")[0]
        account = self._state.add_account(project.id, account_id, created=self._state.now() - LONG_AGO)
        # The project of the URL and that of the address may differ in what was made unrecognisable.
        del project.accounts[account.email]
        account.email = email
        project.accounts[email] = account
        account.display_name = str(shown.get("displayName", ""))
        account.description = str(shown.get("description", ""))
        account.disabled = bool(shown.get("disabled"))
        return account

    def _prepare_keys(
        self, exchange: Exchange, account: ServiceAccount, rest: list[str], body: Mapping[str, Any]
    ) -> None:
        if rest[:1] != ["keys"]:
            return
        public = self._key.public_key()
        old = self._state.now() - LONG_AGO
        for shown in body.get("keys", ()):
            key_id = shown["name"].rpartition("/")[2]
            system = shown["keyType"] == "SYSTEM_MANAGED"
            self._state.add_key(account, public, key_id=key_id, system_managed=system, created=old)
        if len(rest) == 2 and exchange.status == 200:
            self._state.add_key(account, public, key_id=rest[1].partition(":")[0], created=old)
        if exchange.method == "POST" and exchange.status in (400, 429) and not _violations(body):
            for _ in range(10):
                self._state.add_key(account, public, created=old)

    def _lag(self, account: ServiceAccount, *, denies: bool) -> None:
        """Let the replica that answers not know the account yet, and say that it is not there, or not for
        the caller.
        """
        account.created = self._state.now()
        self._state.replicas = _Late(self._state.now, denies=denies)

    def _prepare_repositories(
        self, exchange: Exchange, project: Project, location: str, rest: list[str]
    ) -> None:
        body = exchange.response_body if isinstance(exchange.response_body, dict) else {}
        shown = body.get("repositories", [body]) if exchange.method == "GET" else [{}]
        for one in shown:
            name = one.get("name", "").rpartition("/")[2] or (rest[0].partition(":")[0] if rest else "")
            if not name:
                continue
            repository = self._state.add_repository(project.id, location, name)
            repository.details = {
                field: one[field]
                for field in ("description", "labels", "mode", "virtualRepositoryConfig", "sizeBytes")
                if field in one
            }
            self._prepare_policy(exchange, repository.policy)

    def _prepare_policy(self, exchange: Exchange, policy: AllowPolicy) -> None:
        body = exchange.response_body if isinstance(exchange.response_body, dict) else {}
        if "bindings" in body or "auditConfigs" in body:
            # A write finds what it will leave, so that audit configurations and others' bindings are there.
            _put(policy, body, self._state.now() - LONG_AGO)
        elif exchange.path.endswith(":setIamPolicy"):
            policy.grant("roles/viewer", "user:before@example.com", since=self._state.now() - LONG_AGO)

    def _members_of(self, exchange: Exchange) -> None:
        """Let the service accounts exist that a policy names, but for one that is refused for not
        existing.
        """
        asked = exchange.request_body if isinstance(exchange.request_body, dict) else {}
        policy = asked.get("policy") if isinstance(asked.get("policy"), dict) else {}
        bindings = (
            [*policy.get("bindings", ()), *(exchange.response_body or {}).get("bindings", ())]
            if policy
            else []
        )
        if exchange.status != 200:
            return
        for member in {it for binding in bindings for it in binding.get("members", ())}:
            kind, _, email = member.partition(":")
            domain = email.partition("@")[2]
            if kind == "serviceAccount" and domain.endswith(".iam.gserviceaccount.com"):
                project = self._project(domain.removesuffix(".iam.gserviceaccount.com"), {})
                if email not in project.accounts:
                    self._add_account(project, email, {})

    def _begin_operation(self, exchange: Exchange) -> None:
        """Begin the operation that the recorded one tells the end of."""
        answer = cast("dict[str, Any]", exchange.response_body)["response"]
        services = answer.get("services") or [answer["service"]]
        number = services[0]["name"].split("/")[1]
        project = self._state.add_project("recorded-project", number)
        ids = [one["name"].rpartition("/")[2] for one in services]
        path = (
            f"/v1/projects/{project.id}/services:batchEnable"
            if "services" in answer
            else f"/v1/projects/{project.id}/services/{ids[0]}:enable"
        )
        sent = {"serviceIds": ids} if "services" in answer else {}
        self._operation = self._request("POST", self._rest(path), json=sent).json()["name"]

    def _prepare_token(self, message: str) -> None:
        project = self._project("recorded-project", {})
        self._account = self._add_account(project, f"puller@{project.id}.iam.gserviceaccount.com", {})
        if "Signature" not in message:
            self._state.add_key(
                self._account, self._key.public_key(), key_id="k", created=self._state.now() - LONG_AGO
            )
        if "deleted" in message:
            self._state.delete_account(self._account)
        elif "not found" in message:
            del project.accounts[self._account.email]

    def _prepare_registry(self, exchange: Exchange) -> None:
        path = dict(parse_qsl(urlsplit(exchange.url).query)).get("scope", exchange.path.removeprefix("/v2/"))
        parts = re.sub(r"^repository:|:pull$|/manifests/.*$", "", path).split("/")
        code = self.error_code(exchange.response_body)
        if exchange.status in (400, 401) or code == "DENIED" or len(parts) < 2:
            return
        if "." in parts[0]:
            parts[:2] = [f"{parts[0]}:{parts[1]}"]
        project = self._project(parts[0], {})
        if exchange.status == 412 or code == "NAME_UNKNOWN":
            return
        pkg = exchange.host.removesuffix("-docker.pkg.dev")
        location, name = ("us", exchange.host) if pkg == exchange.host else (pkg, parts[1])
        repository = self._state.add_repository(project.id, location, name)
        self._state.open_to_all(repository)

    # -- sending ---------------------------------------------------------------------------------------------

    def send(self, exchange: Exchange) -> Answer:
        calls = self._sandbox.log.calls
        before = len(calls)
        if exchange.host in API_HOSTS:
            response = self._send_api(exchange)
        elif exchange.host == "oauth2.googleapis.com":
            url = f"https://127.0.0.1:{self._emulator.https_port}/token"
            response = self._client.post(
                url, data={"grant_type": GRANT, "assertion": self._assertion(exchange)}
            )
        else:
            response = self._send_to_registry(exchange)
        try:
            body: Any = response.json()
        except ValueError:
            body = response.text
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, body, headers, served=len(calls) > before)

    def _rest(self, path: str) -> str:
        return f"http://127.0.0.1:{self._emulator.rest_port}{path}"

    def _request(self, method: str, url: str, **how: Any) -> httpx.Response:
        token = self._emulator.tokens.issue(self._state.operator)[0]
        return self._client.request(method, url, headers={"Authorization": f"Bearer {token}"}, **how)

    def _send_api(self, exchange: Exchange) -> httpx.Response:
        parts = urlsplit(exchange.url)
        path = f"/v1/{self._operation}" if "/operations/" in parts.path else parts.path
        query = f"?{parts.query}" if parts.query else ""
        url = self._rest(path + query)
        return self._request(exchange.method, url, json=self._sent(exchange))

    def _sent(self, exchange: Exchange) -> Any:
        """The request's body; a policy with the etag of now, unless a stale one is meant, and whole where
        it was cut.
        """
        body = exchange.request_body
        if not isinstance(body, dict) or "policy" not in body:
            return body
        answered = exchange.response_body if isinstance(exchange.response_body, dict) else {}
        policy = body["policy"] if isinstance(body["policy"], dict) else {}
        if exchange.status == 200 and len(answered.get("bindings", ())) > len(policy.get("bindings", ())):
            policy = {**policy, "bindings": answered["bindings"]}
        return {
            **body,
            "policy": {name: one for name, one in policy.items() if (name, one) != ("etag", "abcdef0123A=")},
        }

    def _assertion(self, exchange: Exchange) -> str:
        assert self._account is not None
        now = int(dt.datetime.now(dt.UTC).timestamp())
        life = 360000 if "short-lived" in str(exchange.response_body) else 3600
        head = {"alg": "RS256", "kid": "k"}
        claims = {
            "iss": self._account.email,
            "aud": "https://oauth2.googleapis.com/token",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "iat": now,
            "exp": now + life,
        }
        signed = ".".join(_unpadded(json.dumps(one).encode()) for one in (head, claims))
        assert isinstance(self._key, rsa.RSAPrivateKey)
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_unpadded(signature)}"

    def _send_to_registry(self, exchange: Exchange) -> httpx.Response:
        parts = urlsplit(exchange.url)
        url = f"https://127.0.0.1:{self._emulator.registry_port}{parts.path}"
        headers = {"Host": exchange.host, **self._authorization(exchange)}
        return self._client.request(
            exchange.method, f"{url}?{parts.query}" if parts.query else url, headers=headers
        )

    def _authorization(self, exchange: Exchange) -> dict[str, str]:
        """What the recorded answer says that the request came with."""
        message = _message(exchange)
        tokens = self._emulator.tokens
        nobody = self._emulator.state.operator
        if exchange.path.endswith("/token"):
            if message == "authentication failed":
                return {"Authorization": "Basic " + base64.b64encode(b"oauth2accesstoken:bogus").decode()}
            if message.startswith("Permission"):
                # Somebody who is known and has no role.
                project = self._state.add_project("recorded-others", "700000000001")
                other = self._add_account(project, "other@recorded-others.iam.gserviceaccount.com", {})
                token = tokens.issue(other.email)[0]
                return {
                    "Authorization": "Basic "
                    + base64.b64encode(f"oauth2accesstoken:{token}".encode()).decode()
                }
            return {}
        if exchange.status == 401:
            bogus = message == "No valid credential was supplied."
            return {"Authorization": "Bearer bogus"} if bogus else {}
        if exchange.status == 400:
            return {}
        return {"Authorization": f"Bearer {tokens.issue(nobody if exchange.path != '/v2/' else '')[0]}"}

    # -- comparing -------------------------------------------------------------------------------------------

    def error_code(self, body: Any) -> str:
        match body:
            case {"error": {"status": str(status)}}:
                return status
            case {"error": str(code)}:
                return code
            case {"errors": [{"code": str(code)}, *_]}:
                return code
        return ""

    def form(self, path: str, value: Any) -> str | None:
        if path.endswith("etag"):
            return _etag_form(value)
        if isinstance(value, str) and re.fullmatch(r"(\d)\1+", value):
            return "digits"
        return form_of(value)

    def more(self, exchange: Exchange, answer: Answer) -> Iterator[str]:
        """The words of a refusal, by which alone clients can tell some from others, and how a registry
        asks.
        """
        there, here = _wording(_message(exchange)), _wording(_message_of(answer.body))
        if there != here:
            yield f"wording: {there!r} recorded, {here!r} here"
        if REGISTRY_HOST.match(exchange.host):
            asked, ours = (
                _challenge(it.get("www-authenticate", "")) for it in (exchange.headers, answer.headers)
            )
            if asked != ours:
                yield f"challenge: {asked} recorded, {ours} here"
        if (exchange.status or 0) >= 400:
            reasons, own = (_reasons(it) for it in (exchange.response_body, answer.body))
            if reasons != own:
                yield f"reasons: {reasons} recorded, {own} here"


def _unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _put(policy: AllowPolicy, shown: Mapping[str, Any], since: dt.datetime) -> None:
    wanted = policy_pb2.Policy()
    json_format.ParseDict({key: shown[key] for key in ("bindings", "auditConfigs") if key in shown}, wanted)
    wanted.version = 3
    policy.write(wanted, audit_configs=True, now=since)


def _violations(body: Mapping[str, Any]) -> list[str]:
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details", ()) if isinstance(error, dict) else ()
    return [it["type"] for one in details for it in one.get("violations", ())]


def _reasons(body: Any) -> list[str]:
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details", ()) if isinstance(error, dict) else ()
    return sorted(str(one["reason"]) for one in details if "reason" in one)


def _message(exchange: Exchange) -> str:
    return _message_of(exchange.response_body)


def _message_of(body: Any) -> str:
    match body:
        case {"error": {"message": str(message)}} | {"error_description": str(message)}:
            return message
        case {"errors": [{"message": str(message)}, *_]}:
            return message
        case str():
            return body
    return ""


def _wording(message: str) -> str:
    """A message without what differs by nature: numbers, etags, addresses."""
    plain = re.sub(r"ETag '[^']*(?:\\'[^']*)*'", "ETag", message)
    plain = re.sub(r"--projects='[^']*'", "--projects=PROJECT", plain)
    plain = re.sub(r"\S+@\S+\.gserviceaccount\.com", "ACCOUNT", plain)
    return re.sub(r"\d+", "N", plain)


def _challenge(header: str) -> str:
    scheme = header.partition(" ")[0]
    names = re.findall(r'(\w+)="', header)
    scope = re.search(r'scope="([^"]*)"', header)
    return f"{scheme} {' '.join(names)} {scope[1] if scope else ''}".strip() or "none"


def _etag_form(value: Any) -> str | None:
    if value in PLACEHOLDERS or not isinstance(value, str):
        return None
    if value.startswith('W/"'):
        return "weak etag"
    if value == "ACAB":
        return "etag of what was never set"
    raw = base64.b64decode(value)
    if raw.isdigit():
        return "etag of digits"
    return f"etag of {len(raw)} bytes beginning {value[:2]}"


@contextmanager
def cloud() -> Iterator[Google]:
    """The emulator, running."""
    with RunningSandbox({"google": GoogleEmulator}) as running:
        emulator = running.sandbox.emulators["google"]
        assert isinstance(emulator, GoogleEmulator)
        yield Google(running, emulator)
