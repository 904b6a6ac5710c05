"""Google's SDKs, as far as this provider calls them.

The clients are made when they are first used, each at its own endpoint; every call is traced, and its errors become
`CallRefused` or pass through for the caller to judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import json
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bootstrap.codes import Code
from bootstrap.errors import PullkeyError, UsageProblem
from bootstrap.once import Once
from bootstrap.secret import Secret
from bootstrap.settings import endpoint
from bootstrap.waiting import Deadline, Delay, wait_out
from bootstrap.words import one_line
from providers.gcr import errors
from providers.gcr.policy import VERSION

T = TypeVar("T")
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_APIS = (
    "ARTIFACTREGISTRY", "IAM", "IAMCREDENTIALS", "ORGPOLICY", "RESOURCEMANAGER", "SERVICEUSAGE",
)  # fmt: skip
_READ_SECONDS = 30.0
_CHANGE_SECONDS = 60.0
_LOCATIONS_AT_ONCE = 16


class NoLogin(PullkeyError):
    """There is no usable Google login."""

    code = Code.LOGIN_MISSING


def _no_login(error: Exception, impersonate: str = "") -> NoLogin:
    said = one_line(str(error), 400)
    if impersonate and "iam.serviceAccounts.getAccessToken" in said:
        return NoLogin(f"Your Google login may not act as {impersonate} ({said})", fix=f"It takes roles/iam.serviceAccountTokenCreator on that account: gcloud iam service-accounts add-iam-policy-binding {impersonate} --member=user:YOU --role=roles/iam.serviceAccountTokenCreator", code=Code.IMPERSONATION_DENIED)  # fmt: skip
    return NoLogin(
        f"There is no usable Google login ({said})", fix=errors.login_fix(), code=Code.LOGIN_MISSING
    )


def _spell_proxies_for_grpc() -> None:
    """It reads their variables in lower case only; all the other libraries read both."""
    for name in ("https_proxy", "no_proxy"):
        if name.upper() in os.environ:
            os.environ.setdefault(name, os.environ[name.upper()])


def _asks_nobody_else(credentials: Any) -> Any:
    """The same credentials, which call no address of Google's but those that were named.

    Beside the first call google-auth (2.62) asks iamcredentials.googleapis.com in which regions the account may be
    used, whatever address the person has named for that API; for a workload identity the credentials of the account that
    it impersonates do so. The answer is a hint, and there is no setting for it.
    """
    kind = type(credentials)
    silent = {
        "_is_regional_access_boundary_lookup_required": lambda _: False,
        "_maybe_start_regional_access_boundary_refresh": lambda *_: None,
    }
    # By its class, since the SDKs make copies of it.
    credentials.__class__ = type(kind.__name__, (kind,), silent)
    return credentials


def _at_endpoints(credentials: Any) -> Any:
    """The same credentials, which impersonate at the address that was named for that API, if one was.

    The configuration of a workload identity names the public one (`service_account_impersonation_url`).
    """
    from google.auth import external_account

    override = endpoint("PULLKEY_GOOGLE_IAMCREDENTIALS_ENDPOINT")
    if override is None or not isinstance(credentials, external_account.Credentials):
        return credentials
    info = dict(credentials.info)
    url = info.get("service_account_impersonation_url")
    if not url:
        return credentials
    info["service_account_impersonation_url"] = override.url + urlsplit(url).path
    return type(credentials).from_info(info)  # type: ignore[no-untyped-call]


def sdk_missing(error: ImportError) -> UsageProblem:
    """The sentence for an extra that is not installed."""
    from bootstrap.installation import install_command

    return UsageProblem(
        f"Google's libraries are not installed ({error.name})",
        fix=f"Install them: {install_command('gcr')}",
        code=Code.EXTRA_MISSING,
    )


class GoogleCloud:
    """The calls, as the person that the application default credentials (or the impersonated account) name.

    Args:
        impersonate: e-mail of a service account to act as, or "".
        trace: takes one line per call, without secrets.
        deadline: of the run; no call is waited for much longer.
    """

    def __init__(self, impersonate: str, trace: Callable[[str], None], deadline: Deadline) -> None:
        self.impersonate = impersonate
        self._deadline = deadline
        self.connect = Once(self._connect)
        self._trace = trace
        self._credentials: Any = None
        self.default_project: str | None = None
        self.skew: dt.timedelta | None = None
        self._clients: list[Any] = []
        self._tokens = 0
        self.enabled: set[str] = set()
        """The APIs that this command has enabled: that one is disabled is then a delay."""
        self._renewing = asyncio.Lock()

    # -- logging in ----------------------------------------------------------------------------------------------

    async def _connect(self) -> str:
        """Find the login, once for all sessions; return as whom.

        Raises:
            UsageProblem: Google's libraries are not installed.
            NoLogin: there is no login, or it has ended.
        """
        return await asyncio.to_thread(self._log_in)

    def _log_in(self) -> str:
        try:
            import google.auth.exceptions
            import google.auth.transport.requests
            from google.auth import impersonated_credentials
            from google.auth.credentials import with_scopes_if_required
            from google.oauth2 import service_account

            from providers.gcr.lean import google
        except ImportError as error:
            raise sdk_missing(error) from None
        _spell_proxies_for_grpc()
        try:
            # Without scopes at first: with them google-auth asks Resource Manager, at its public address, for the project
            # of a workload identity, of which only `doctor` would show the name.
            credentials, self.default_project = google.auth.default()
            credentials = with_scopes_if_required(_at_endpoints(credentials), _SCOPES)  # type: ignore[no-untyped-call]
            if self.impersonate:
                override = endpoint("PULLKEY_GOOGLE_IAMCREDENTIALS_ENDPOINT")
                generate = f"/v1/projects/-/serviceAccounts/{self.impersonate}:generateAccessToken"
                credentials = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
                    source_credentials=credentials,
                    target_principal=self.impersonate,
                    target_scopes=list(_SCOPES),
                    iam_endpoint_override=override.url + generate if override else None,
                )
            if not isinstance(credentials, service_account.Credentials):
                # A service account signs its own tokens; everybody else finds out now whether the login still holds.
                credentials.refresh(self._request())
        except google.auth.exceptions.GoogleAuthError as error:
            raise _no_login(error, self.impersonate) from None
        if any(os.environ.get(f"PULLKEY_GOOGLE_{api}_ENDPOINT") for api in _APIS):
            credentials = _asks_nobody_else(credentials)
        self._credentials = credentials
        return self.impersonate or getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "") or "your Google login"  # fmt: skip

    def _request(self) -> Any:
        """How Google's token service is called: it tells Google's time, which is noted."""
        import google.auth.transport.requests

        inner = google.auth.transport.requests.Request()

        def call(*arguments: Any, **options: Any) -> Any:
            answer = inner(*arguments, **{"timeout": self._deadline.within(_READ_SECONDS), **options})
            with contextlib.suppress(KeyError, ValueError, TypeError):
                told = email.utils.parsedate_to_datetime(answer.headers["date"])
                self.skew = dt.datetime.now(dt.UTC) - told.astimezone(dt.UTC)
            return answer

        return call

    async def read_clock(self) -> None:
        """Note in `skew` how far this machine's clock is ahead of Google's, by the answer to a token refresh.

        Raises:
            NoLogin: the login has ended.
        """
        if self.skew is None:
            await asyncio.to_thread(self._refresh)

    def _refresh(self) -> None:
        import google.auth.exceptions

        try:
            self._credentials.refresh(self._request())
        except google.auth.exceptions.GoogleAuthError as error:
            raise _no_login(error, self.impersonate) from None

    def _new_token(self) -> None:
        """Fetch another token than the one that Google has refused.

        The SDKs' clients keep credentials of their own, and a service account's sign their tokens themselves, so
        they are made anew too; calls under way keep the old ones, which are closed at the end.
        """
        from google.oauth2 import service_account

        if not isinstance(self._credentials, service_account.Credentials):
            self._refresh()
        for name in ("iam", "projects", "registry", "services", "policies"):
            self.__dict__.pop(name, None)

    async def access_token(self) -> Secret | None:
        """The login's access token; None where it has none.

        Raises:
            NoLogin: the login has ended.
        """
        if not getattr(self._credentials, "valid", False):
            await asyncio.to_thread(self._refresh)
        token = getattr(self._credentials, "token", None)
        return Secret(token) if isinstance(token, str) and token else None

    def _client(self, kind: Any, variable: str) -> Any:
        from google.api_core.client_options import ClientOptions

        where = endpoint(variable)
        if where is None:
            client = kind(credentials=self._credentials)
        elif where.plaintext:
            import grpc

            channel = grpc.aio.insecure_channel(where.grpc_target)
            client = kind(transport=kind.get_transport_class("grpc_asyncio")(channel=channel))
        else:
            client = kind(
                credentials=self._credentials, client_options=ClientOptions(api_endpoint=where.grpc_target)
            )
        self._clients.append(client)
        return client

    @cached_property
    def iam(self) -> Any:
        from google.cloud import iam_admin_v1

        return self._client(iam_admin_v1.IAMAsyncClient, "PULLKEY_GOOGLE_IAM_ENDPOINT")

    @cached_property
    def projects(self) -> Any:
        from google.cloud import resourcemanager_v3

        return self._client(resourcemanager_v3.ProjectsAsyncClient, "PULLKEY_GOOGLE_RESOURCEMANAGER_ENDPOINT")

    @cached_property
    def registry(self) -> Any:
        from google.cloud import artifactregistry_v1

        return self._client(
            artifactregistry_v1.ArtifactRegistryAsyncClient, "PULLKEY_GOOGLE_ARTIFACTREGISTRY_ENDPOINT"
        )

    @cached_property
    def services(self) -> Any:
        from google.cloud import service_usage_v1

        return self._client(service_usage_v1.ServiceUsageAsyncClient, "PULLKEY_GOOGLE_SERVICEUSAGE_ENDPOINT")

    @cached_property
    def policies(self) -> Any:
        from google.cloud import orgpolicy_v2

        return self._client(orgpolicy_v2.OrgPolicyAsyncClient, "PULLKEY_GOOGLE_ORGPOLICY_ENDPOINT")

    async def close(self) -> None:
        while self._clients:
            await self._clients.pop().transport.close()

    # -- calling -------------------------------------------------------------------------------------------------

    @cached_property
    def _reading(self) -> dict[str, Any]:
        """How a read is called: again while Google is busy. The SDKs do so for some of their reads only.

        Not where Google says itself how long to wait (`_read`), or where the login has ended.
        """
        from google.api_core import exceptions, retry_async

        passing = (
            exceptions.ServiceUnavailable,
            exceptions.DeadlineExceeded,
            exceptions.InternalServerError,
            exceptions.ResourceExhausted,
            *_UNREADABLE,
        )

        def busy(error: BaseException) -> bool:
            return (
                isinstance(error, passing)
                and errors.retry_after(error) is None
                and not errors.is_refused_login(error)
            )

        retry = retry_async.AsyncRetry(predicate=busy, initial=0.3, maximum=5.0, timeout=_READ_SECONDS)
        return {"retry": retry, "timeout": _READ_SECONDS}

    async def _read(self, method: str, resource: str, call: Callable[[], Awaitable[T]]) -> T:
        """A read, with the SDK's repeats of it, and with those pauses that Google asks for."""

        def why(error: Exception) -> Delay | None:
            return errors.delay_of(error) if errors.retry_after(error) is not None else None

        return await wait_out(
            lambda: self._call(method, resource, call), why=why, deadline=self._deadline, tell=self._trace
        )

    async def _call(
        self,
        method: str,
        resource: str,
        call: Callable[[], Awaitable[T]],
        *,
        seconds: float = _CHANGE_SECONDS,
        silent: bool = False,
    ) -> T:
        """One call, with the SDK's repeats of it.

        Args:
            method: what it is called in the trace.
            resource: what it is about.
            call: makes it.
            seconds: how long it may take.
            silent: a success has no answer. Else none is one that cannot be read: gRPC only logs that.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: whatever went wrong.
            google.auth.exceptions.GoogleAuthError: the login has ended.
        """

        def just_enabled(error: Exception) -> Delay | None:
            service = errors.disabled_service(error)
            return errors.new_service_delay(service) if service in self.enabled else None

        return await wait_out(
            lambda: self._as_logged_in(method, resource, call, seconds=seconds, silent=silent),
            why=just_enabled,
            deadline=self._deadline,
            tell=self._trace,
        )

    async def _as_logged_in(
        self, method: str, resource: str, call: Callable[[], Awaitable[T]], *, seconds: float, silent: bool
    ) -> T:
        tokens = self._tokens
        try:
            return await self._once(method, resource, call, seconds=seconds, silent=silent)
        except Exception as error:
            if errors.status_of(error) != "UNAUTHENTICATED":
                raise
            # Nothing was done. The token may have ended in the middle of the run: once, another one is fetched.
            async with self._renewing:
                if self._tokens == tokens:
                    await asyncio.to_thread(self._new_token)
                    self._tokens += 1
        return await self._once(method, resource, call, seconds=seconds, silent=silent)

    async def _once(
        self, method: str, resource: str, call: Callable[[], Awaitable[T]], *, seconds: float, silent: bool
    ) -> T:
        begin = time.monotonic()
        status = "OK"
        try:
            async with asyncio.timeout(self._deadline.within(seconds)):
                answer = await call()
            if answer is None and not silent:
                raise ValueError
        except Exception as error:
            told = _as_google_error(error)
            status = errors.status_of(told)
            if told is error:
                raise
            raise told from None
        else:
            return answer
        finally:
            self._trace(f"google {method} {resource} {status} {(time.monotonic() - begin) * 1000:.0f} ms")

    async def project_state(self, project: str) -> str:
        """`ACTIVE`, `DELETE_REQUESTED`..."""
        found = await self._read(
            "GetProject",
            project,
            lambda: self.projects.get_project(name=f"projects/{project}", **self._reading),
        )
        return str(found.state.name)

    async def projects_seen(self, most: int = 50) -> list[tuple[str, str]]:
        """Ids and names of the projects that this login may see; at most so many."""

        async def search() -> list[tuple[str, str]]:
            pages = await self.projects.search_projects(query="state:ACTIVE", **self._reading)
            found = []
            async for one in pages:
                found.append((one.project_id, one.display_name))
                if len(found) == most:
                    break
            return found

        return await self._read("SearchProjects", "", search)

    async def held_on_project(self, project: str, permissions: Iterable[str]) -> set[str]:
        return await self._held("projects", f"projects/{project}", permissions)

    async def held_on_repository(self, resource: str, permissions: Iterable[str]) -> set[str]:
        return await self._held("registry", resource, permissions)

    async def held_on_account(self, resource: str, permissions: Iterable[str]) -> set[str]:
        return await self._held("iam", resource, permissions)

    async def _held(self, client: str, resource: str, permissions: Iterable[str]) -> set[str]:
        from google.iam.v1 import iam_policy_pb2

        request = iam_policy_pb2.TestIamPermissionsRequest(resource=resource, permissions=sorted(permissions))
        answer = await self._read(
            "TestIamPermissions",
            resource,
            lambda: getattr(self, client).test_iam_permissions(request=request, **self._reading),
        )
        return set(answer.permissions)

    async def disabled_services(self, project: str, names: Iterable[str]) -> list[str]:
        """Those of the services that are not enabled in the project."""
        from google.cloud import service_usage_v1

        request = service_usage_v1.BatchGetServicesRequest(
            parent=f"projects/{project}", names=[f"projects/{project}/services/{name}" for name in names]
        )
        answer = await self._read(
            "BatchGetServices",
            project,
            lambda: self.services.batch_get_services(request=request, **self._reading),
        )
        enabled = service_usage_v1.State.ENABLED
        return [service.name.rsplit("/", 1)[-1] for service in answer.services if service.state != enabled]

    async def enable_services(self, project: str, names: Collection[str], seconds: float) -> None:
        from google.cloud import service_usage_v1

        request = service_usage_v1.BatchEnableServicesRequest(
            parent=f"projects/{project}", service_ids=sorted(names)
        )

        async def enable() -> None:
            operation = await self.services.batch_enable_services(request=request, timeout=_CHANGE_SECONDS)
            await operation.result(timeout=seconds)

        await self._call("BatchEnableServices", project, enable, seconds=seconds, silent=True)
        self.enabled |= set(names)

    async def forbids(self, project: str, constraint: str) -> bool:
        """Whether a boolean constraint of the organisation is in force for the project."""
        name = f"projects/{project}/policies/{constraint}"
        return any(rule.enforce for rule in await self._effective_rules(name))

    async def allowed_values(self, project: str, constraint: str) -> list[str]:
        """The values that a list constraint of the organisation allows; none where it allows all."""
        name = f"projects/{project}/policies/{constraint}"
        return [value for rule in await self._effective_rules(name) for value in rule.values.allowed_values]

    async def _effective_rules(self, name: str) -> Any:
        policy = await self._read(
            "GetEffectivePolicy",
            name,
            lambda: self.policies.get_effective_policy(name=name, **self._reading),
        )
        return policy.spec.rules

    async def repository_format(self, resource: str) -> str:
        found = await self._read(
            "GetRepository",
            resource,
            lambda: self.registry.get_repository(name=resource, **self._reading),
        )
        return str(found.format_.name)

    async def docker_repositories(self, project: str, location: str) -> list[str]:
        parent = f"projects/{project}/locations/{location}"

        async def names() -> list[str]:
            pages = await self.registry.list_repositories(parent=parent, **self._reading)
            return [found.name.rsplit("/", 1)[-1] async for found in pages if found.format_.name == "DOCKER"]

        return await self._read("ListRepositories", parent, names)

    async def docker_repositories_everywhere(self, project: str) -> list[tuple[str, str]]:
        """The repositories for images of a project, each as its location and its name.

        Each location is asked by itself, as gcloud does (`ListRepositories` of command_lib/artifacts/util.py); what one of them
        refuses, all do.
        """
        locations = await self._read("ListLocations", project, lambda: self._locations(project))
        some = asyncio.Semaphore(_LOCATIONS_AT_ONCE)

        async def of(location: str) -> list[tuple[str, str]]:
            async with some:
                return [(location, name) for name in await self.docker_repositories(project, location)]

        return [found for listed in await asyncio.gather(*map(of, locations)) for found in listed]

    async def _locations(self, project: str) -> list[str]:
        from google.cloud.location import locations_pb2

        found: list[str] = []
        token = ""
        while True:
            request = locations_pb2.ListLocationsRequest(name=f"projects/{project}", page_token=token)
            page = await self.registry.list_locations(request=request, **self._reading)
            found += [one.location_id for one in page.locations]
            token = page.next_page_token
            if not token:
                return found

    def _keeper(self, resource: str) -> Any:
        """The API that keeps a resource's policy."""
        if "/repositories/" in resource:
            return self.registry
        return self.iam if "/serviceAccounts/" in resource else self.projects

    async def policy(self, resource: str) -> Any:
        """The IAM policy of a project, repository or service account, conditions included."""
        from google.iam.v1 import iam_policy_pb2, options_pb2

        request = iam_policy_pb2.GetIamPolicyRequest(
            resource=resource, options=options_pb2.GetPolicyOptions(requested_policy_version=VERSION)
        )

        async def read() -> Any:
            found = await self._keeper(resource).get_iam_policy(request=request, **self._reading)
            if not found.etag:
                # Each policy has one. What came is none, and written back it would take everybody's rights.
                raise ValueError
            return found

        return await self._read("GetIamPolicy", resource, read)

    async def set_policy(self, resource: str, policy: Any) -> None:
        """Write a policy that was read with its etag; a conflict is an error, and asks for reading it again."""
        from google.iam.v1 import iam_policy_pb2

        request = iam_policy_pb2.SetIamPolicyRequest(resource=resource, policy=policy)
        # Without a retry of its own: the same etag again never succeeds.
        await self._call(
            "SetIamPolicy",
            resource,
            lambda: self._keeper(resource).set_iam_policy(
                request=request, retry=None, timeout=_CHANGE_SECONDS
            ),
        )

    async def account(self, resource: str) -> Any:
        """The service account.

        Raises:
            google.api_core.exceptions.NotFound: there is none.
        """

        async def read() -> Any:
            found = await self.iam.get_service_account(name=resource, **self._reading)
            if not found.unique_id or not found.email:
                # Each account has both. What came is none, and would pass for one that somebody else has made.
                raise ValueError
            return found

        return await self._read("GetServiceAccount", resource, read)

    async def create_account(self, project: str, account_id: str, description: str) -> Any:
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.CreateServiceAccountRequest(
            name=f"projects/{project}",
            account_id=account_id,
            service_account=iam_admin_v1.ServiceAccount(
                display_name="Akka image pulls", description=description
            ),
        )
        return await self._call(
            "CreateServiceAccount",
            f"projects/{project}/serviceAccounts/{account_id}",
            lambda: self.iam.create_service_account(request=request, retry=None, timeout=_CHANGE_SECONDS),
        )

    async def delete_account(self, resource: str) -> None:
        await self._call(
            "DeleteServiceAccount",
            resource,
            lambda: self.iam.delete_service_account(name=resource, retry=None, timeout=_CHANGE_SECONDS),
            silent=True,
        )

    async def user_keys(self, resource: str) -> Mapping[str, Any]:
        """The keys that somebody made (Google's own rotate by themselves), by id."""
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.ListServiceAccountKeysRequest(
            name=resource, key_types=[iam_admin_v1.ListServiceAccountKeysRequest.KeyType.USER_MANAGED]
        )
        answer = await self._read(
            "ListServiceAccountKeys",
            resource,
            lambda: self.iam.list_service_account_keys(request=request, **self._reading),
        )
        return {id_of(key): key for key in answer.keys}

    async def create_key(self, resource: str) -> Any:
        """A new JSON key. Never retried here: a second call makes a second key."""
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.CreateServiceAccountKeyRequest(
            name=resource,
            private_key_type=iam_admin_v1.ServiceAccountPrivateKeyType.TYPE_GOOGLE_CREDENTIALS_FILE,
        )

        async def create() -> Any:
            made = await self.iam.create_service_account_key(
                request=request, retry=None, timeout=_CHANGE_SECONDS
            )
            json.loads(made.private_key_data)  # a key that cannot be read counts as no answer
            return made

        return await self._call("CreateServiceAccountKey", resource, create)

    async def upload_key(self, resource: str, certificate: bytes) -> Any:
        """Let the holder of the private half of this certificate's key be the account. Never retried here."""
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.UploadServiceAccountKeyRequest(name=resource, public_key_data=certificate)
        return await self._call(
            "UploadServiceAccountKey",
            resource,
            lambda: self.iam.upload_service_account_key(request=request, retry=None, timeout=_CHANGE_SECONDS),
        )

    async def public_key(self, resource: str) -> Any:
        """A key with its public half, in PEM."""
        from google.cloud import iam_admin_v1

        request = iam_admin_v1.GetServiceAccountKeyRequest(
            name=resource, public_key_type=iam_admin_v1.ServiceAccountPublicKeyType.TYPE_X509_PEM_FILE
        )
        return await self._read(
            "GetServiceAccountKey",
            resource,
            lambda: self.iam.get_service_account_key(request=request, **self._reading),
        )

    async def delete_key(self, resource: str) -> None:
        """Never retried here: whoever asks wants to know whether it was gone before."""
        await self._call(
            "DeleteServiceAccountKey",
            resource,
            lambda: self.iam.delete_service_account_key(name=resource, retry=None, timeout=_CHANGE_SECONDS),
            silent=True,
        )

    async def switch_key(self, resource: str, *, on: bool) -> None:
        from google.cloud import iam_admin_v1

        if on:
            enable = iam_admin_v1.EnableServiceAccountKeyRequest(name=resource)
            await self._call(
                "EnableServiceAccountKey",
                resource,
                lambda: self.iam.enable_service_account_key(request=enable, timeout=_CHANGE_SECONDS),
                silent=True,
            )
        else:
            disable = iam_admin_v1.DisableServiceAccountKeyRequest(name=resource)
            await self._call(
                "DisableServiceAccountKey",
                resource,
                lambda: self.iam.disable_service_account_key(request=disable, timeout=_CHANGE_SECONDS),
                silent=True,
            )


def id_of(key: Any) -> str:
    """The last part of a key's name, which is no secret."""
    return str(key.name.rsplit("/", 1)[-1])


def end_of(key: Any) -> dt.datetime | None:
    """When a key ends; None for one that does not: Google then says the year 9999."""
    ends = key.valid_before_time
    return ends if ends and ends.year < 9000 else None


def of_account(resource: str) -> str:
    """The options by which `gcloud iam service-accounts keys` is told the account."""
    _, project, _, email = resource.split("/")
    return f"--iam-account={email}" + (f" --project={project}" if project != "-" else "")


# -- answers that are none -----------------------------------------------------------------------------------------

# What the SDKs raise, or stumble over, where an answer is not of the form that was documented.
_UNREADABLE = (AttributeError, TypeError, ValueError, LookupError)


def _as_google_error(error: Exception) -> Exception:
    """The same as one of Google's own errors, which all callers know: also where there is no answer, or none of use."""
    from google.api_core import exceptions

    if isinstance(error, exceptions.RetryError) and error.cause is not None:
        # What it was repeated for says more than that it was.
        return _as_google_error(error.cause)
    if isinstance(error, TimeoutError | exceptions.RetryError):
        return exceptions.DeadlineExceeded("there was no answer in time")  # type: ignore[no-untyped-call]
    if isinstance(error, _UNREADABLE):
        return exceptions.Unknown("its answer cannot be read")  # type: ignore[no-untyped-call]
    if isinstance(error, exceptions.ServiceUnavailable) and errors.is_refused_login(error):
        return exceptions.Unauthenticated(error.message)  # type: ignore[no-untyped-call]
    return error
