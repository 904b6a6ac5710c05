"""Azure: refusals that no permission changes, those that pass, and a login that is lost in the middle of a
run.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import quote

import pytest

from bootstrap.model.codes import Code
from bootstrap.plugin.errors import refused
from bootstrap.testing.harness.world import World
from providers.acr.emulator import entra
from providers.acr.emulator.roles import REPOSITORY_READER
from providers.acr.emulator.state import AppManagementPolicy
from providers.acr.emulator.tokens import Tokens
from providers.acr.errors import AzureApiError
from tests.harness.azure_state import NAME, ONLY_CHECKOUT, applications, roles, secrets
from tests.harness.concurrent_change import meanwhile

EXPIRED = "AADSTS700024: Client assertion is not within its valid time range."
CONDITION = (
    "((!(ActionMatches{{'Microsoft.ContainerRegistry/registries/repositories/content/read'}})) OR "
    "(@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEqualsIgnoreCase '{name}'))"
)


class TestLoginLost:
    def test_it_is_no_lost_answer_of_the_directory(self, acr: World) -> None:
        acr.fault("graph.UpsertApplication=401;code=InvalidAuthenticationToken")
        acr.fault(f"entra.GetToken#3=400;code=invalid_client;message={quote(EXPIRED)}*forever")
        failed = acr.run("onboard", "acr", "--yes", "--timeout", "5s")
        assert failed.code == 1, failed.text
        assert "There is no usable Azure login" in failed.text
        assert "AZURE_FEDERATED_TOKEN_FILE" in failed.text
        assert "did not answer" not in failed.text
        assert "busy" not in failed.text
        assert acr.changes() == []

    def test_of_resource_manager_too(self, acr: World) -> None:
        acr.fault("arm.PutRoleAssignment=401;code=ExpiredAuthenticationToken")
        acr.fault(f"entra.GetToken#3=400;code=invalid_client;message={quote(EXPIRED)}*forever")
        failed = acr.run("onboard", "acr", "--yes", "--timeout", "5s")
        assert "There is no usable Azure login" in failed.text
        assert "AZURE_FEDERATED_TOKEN_FILE" in failed.text


class TestLoginLostAfterAcceptance:
    """The login ends, as a CI job's does, between the answer to a change of a registry's tokens that it was
    accepted, and the first read of what became of it.
    """

    @pytest.fixture
    def short(self, acr: World, monkeypatch: pytest.MonkeyPatch) -> World:
        """Each call gets an access token of its own."""
        sign = Tokens.sign
        monkeypatch.setattr(entra, "_ACCESS_TOKEN_LIFETIME", 0)
        monkeypatch.setattr(Tokens, "sign", lambda self, claims, **_: sign(self, claims, lifetime=3600))
        acr.cloud.state.polls_in_progress = 1
        acr.cloud.state.credentials_take_a_poll = True
        return acr

    @staticmethod
    def lose_at(world: World, call: str) -> None:
        lost = f"entra.GetToken=400;code=invalid_client;message={quote(EXPIRED)}*forever"
        meanwhile(world, call, lambda: world.fault(lost))

    def test_a_password_that_was_generated_is_reported(self, short: World) -> None:
        assert short.onboard(*ONLY_CHECKOUT).code == 0
        self.lose_at(short, "arm.GenerateCredentials")

        failed = short.run("rotate", NAME, "--yes", "--timeout", "20s")

        assert failed.code == 6, failed.text
        assert "There is no usable Azure login" in failed.text
        assert "az acr token credential delete" in failed.text
        assert "--password2" in failed.text

        short.running.sandbox.faults.faults.clear()
        again = short.run("rotate", NAME, "--yes", "--timeout", "20s")
        assert again.code == 0, again.text

    @pytest.mark.parametrize(
        ("call", "command"),
        [("PutToken", "az acr token delete"), ("PutScopeMap", "az acr scope-map delete")],
    )
    def test_what_was_put_is_reported(self, short: World, call: str, command: str) -> None:
        short.cloud.state.scope_maps_take_a_poll = True
        self.lose_at(short, f"arm.{call}")

        failed = short.onboard(*ONLY_CHECKOUT)

        assert failed.code == 6, failed.text
        assert command in failed.text

        short.running.sandbox.faults.faults.clear()
        assert short.onboard(*ONLY_CHECKOUT).code == 0


class TestConcurrentChanges:
    """Graph refuses one of two changes that meet: "Please wait briefly and retry."."""

    def test_a_secret_is_added_after_all(self, acr: World) -> None:
        acr.fault("graph.AddPassword=409;code=Directory_ConcurrencyViolation")
        done = acr.onboard()
        assert done.code == 0, done.text
        (secret,) = secrets(applications(acr)[0])
        assert acr.held(NAME).password == secret.text

    def test_a_secret_is_removed_after_all(self, acr: World) -> None:
        assert acr.onboard().code == 0
        acr.fault("graph.RemovePassword=409;code=Directory_ConcurrencyViolation")
        rotated = acr.run("rotate", NAME, "--keep-old", "0", "--yes")
        assert rotated.code == 0, rotated.text
        assert len(secrets(applications(acr)[0])) == 1


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "says"),
    [
        (403, "Directory_QuotaExceeded", "The directory object quota limit", Code.LIMIT, "deleted items"),
        (
            403,
            "Directory_ResourceSizeExceeded",
            "The size of the object",
            Code.LIMIT,
            "az ad app credential list",
        ),
        (
            400,
            "RoleAssignmentLimitExceeded",
            "No more role assignments",
            Code.LIMIT,
            "az role assignment list",
        ),
        (
            403,
            "RequestDisallowedByPolicy",
            "Resource 'x' was disallowed by policy.",
            Code.POLICY,
            "exemption",
        ),
        (
            403,
            "DenyAssignmentAuthorizationFailed",
            "denied because of the deny",
            Code.POLICY,
            "deny assignment",
        ),
        (
            403,
            "AuthorizationFailed",
            (
                "The client 'x' has an authorization with ABAC condition that is not fulfilled to perform "
                "action 'Microsoft.Authorization/roleAssignments/write' over scope '/subscriptions/1/x' or "
                "the scope is invalid."
            ),
            Code.MISSING_PERMISSION,
            "condition",
        ),
        (
            401,
            "InvalidAuthenticationTokenTenant",
            (
                "The access token is from the wrong issuer 'https://sts.windows.net/11111111-1111-1111-1111-"
                "111111111111/'. It must match the tenant 'https://sts.windows.net/22222222-2222-2222-2222-"
                "222222222222/' associated with this subscription."
            ),
            Code.LOGIN_REFUSED,
            "--tenant 22222222-2222-2222-2222-222222222222",
        ),
    ],
)
def test_what_to_do_is_not_to_ask_for_the_permission(
    status: int, code: str, message: str, kind: Code, says: str
) -> None:
    failed = refused(AzureApiError(status, code, message), "do it")
    assert says in failed.fix
    assert "granted" not in failed.fix
    assert failed.code is kind


class TestPolicyOfAnApplication:
    """An app management policy that is assigned to an application replaces the directory's."""

    def onboard(self, acr: World, policy: AppManagementPolicy | None, *arguments: str) -> tuple[Any, Any]:
        (deployer,) = applications(acr, "deployer")
        deployer.policy = policy
        before = {one.key_id for one in secrets(deployer)}
        done = acr.onboard("--app-id", deployer.app_id, *arguments)
        return done, [one for one in secrets(deployer) if one.key_id not in before]

    @pytest.mark.parametrize("readable", [True, False])
    def test_one_that_is_exempt_gets_a_secret(self, acr: World, readable: bool) -> None:
        acr.cloud.state.app_management_policy.secrets_blocked = True
        if not readable:
            acr.fault("graph.ListAppManagementPolicies=403*forever")
        done, added = self.onboard(acr, AppManagementPolicy())
        assert done.code == 0, done.text
        assert [one.text for one in added] == [acr.held(NAME).password]

    def test_one_that_is_not_exempt_gets_none(self, acr: World) -> None:
        acr.cloud.state.app_management_policy.secrets_blocked = True
        done, added = self.onboard(acr, None)
        assert done.code == 3, done.text
        assert "forbids client secrets" in done.err
        assert acr.changes() == added == []

    def test_a_longer_lifetime_of_its_own(self, acr: World) -> None:
        acr.cloud.state.app_management_policy.max_secret_lifetime = dt.timedelta(days=30)
        policy = AppManagementPolicy(max_secret_lifetime=dt.timedelta(days=200))
        done, (secret,) = self.onboard(acr, policy)
        assert done.code == 0, done.text
        assert 199 < (secret.end - secret.start).total_seconds() / 86400 <= 200

    def test_a_caller_may_be_exempt(self, acr: World) -> None:
        policy = acr.cloud.state.app_management_policy
        policy.secrets_blocked = policy.operator_exempt = True
        done = acr.onboard()
        assert done.code == 0, done.text


class TestCondition:
    """A role with a condition lets its identity pull some repositories of a registry in ABAC mode."""

    def onboard(self, acr: World, repository: str, *arguments: str) -> Any:
        state = acr.cloud.state
        (deployer,) = applications(acr, "deployer")
        principal = state.principal_by_app_id(deployer.app_id)
        given = state.add_assignment(principal.id, REPOSITORY_READER, state.registry("acmeabac").id)
        given.condition = CONDITION.format(name=repository)
        image = "acmeabac.azurecr.io/checkout:1.0"
        return acr.run("onboard", image, "--app-id", deployer.app_id, "--yes", "--timeout", *arguments)

    def test_it_is_kept_as_it_is(self, acr: World) -> None:
        done = self.onboard(acr, "checkout", "20s")
        assert done.code == 0, done.text
        assert "arm.PutRoleAssignment" not in acr.changes()

    def test_it_is_named_where_the_pull_is_refused(self, acr: World) -> None:
        failed = self.onboard(acr, "cart", "3s")
        assert failed.code == 1, failed.text
        assert "has a condition, which may leave checkout out" in failed.text
        assert "'cart'" in failed.text
        assert "still spreading" not in failed.text
        (deployer,) = applications(acr, "deployer")
        assert ("Container Registry Repository Reader", "acmeabac") in roles(acr, deployer.app_id)


@pytest.mark.parametrize(
    ("auth", "module", "output"),
    [
        ("cli", "azure_cli", {"accessToken": "a", "expires_on": 4000000000}),
        ("developer-cli", "azd_cli", {"token": "a", "expiresOn": "2096-10-02T07:06:40Z"}),
    ],
)
def test_a_program_that_logs_in_may_be_slow(
    monkeypatch: pytest.MonkeyPatch, auth: str, module: str, output: dict[str, Any]
) -> None:
    import asyncio
    import importlib

    from providers.acr.login import CLOUDS, make_credential

    given: list[float] = []

    async def run(_command: list[str], timeout: float) -> str:  # noqa: ASYNC109  - as the SDK calls it
        given.append(timeout)
        return json.dumps(output)

    monkeypatch.setattr(
        importlib.import_module(f"azure.identity.aio._credentials.{module}"), "_run_command", run
    )

    async def ask() -> str:
        async with make_credential(CLOUDS["public"], auth, "") as credential:
            return str((await credential.get_token("https://management.azure.com/.default")).token)

    assert asyncio.run(ask()) == "a"
    assert given[0] >= 30
