"""Azure: what a failed login or call is answered with: which login it was, which variable is wrong, which
right is missing.
"""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from providers.acr.login_errors import login_error
from tests.harness.azure_state import NAME

CHAIN = """DefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: {environment}
\tAzureCliCredential: {cli}
To mitigate this issue, please refer to the troubleshooting guidelines here at https://aka.ms/azsdk/python/identity."""
NOT_SET = "EnvironmentCredential authentication unavailable. Environment variables are not fully configured."
NOT_LOGGED_IN = "Please run 'az login' to set up an account"
MFA = (
    "ERROR: AADSTS50076: Due to a configuration change made by your administrator, or because you "
    "moved to a new location, "
    "you must use multi-factor authentication to access '797f4846-ba00-4fd7-ba43-dac1f8f63013'. "
    "Trace ID: 1 Correlation "
    "ID: 2 Timestamp: 2026-11-20 10:00:00Z\nInteractive authentication is needed. Please run:\naz "
    "logout\naz login --tenant "
    '"72f988bf-86f1-41af-91ab-2d7cd011db47" --scope "https://management.core.windows.net//.default"'
)


def told(
    auth: str = "default", tenant: str = "", *, environment: str = NOT_SET, cli: str = NOT_LOGGED_IN
) -> str:
    text = CHAIN.format(environment=environment, cli=cli) if auth == "default" else environment
    found = login_error(Exception(text), auth=auth, tenant=tenant)
    return f"{found.what}. {found.fix}"


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("AADSTS7000215: Invalid client secret provided.", "AZURE_CLIENT_SECRET is not valid"),
        ("AADSTS7000222: The provided client secret keys are expired.", "AZURE_CLIENT_SECRET has expired"),
        ("AADSTS700016: Application with identifier 'x' was not found.", "AZURE_CLIENT_ID"),
        ("AADSTS90002: Tenant 'x' not found.", "AZURE_TENANT_ID"),
        ("AADSTS53003: Access has been blocked by Conditional Access policies.", "AZURE_CLIENT_ID"),
    ],
)
@pytest.mark.parametrize("auth", ["default", "environment"])
def test_a_variable_that_is_wrong_is_named_and_az_login_is_not_the_answer(
    said: str, named: str, auth: str
) -> None:
    text = told(auth, environment=f"Authentication failed: {said} Trace ID: 1 Correlation ID: 2")
    assert named in text
    assert "from the AZURE_* variables of the environment" in text
    assert "az login" not in text


def test_the_command_that_az_names_for_a_second_factor_is_given_whole() -> None:
    text = told(cli=MFA)
    assert (
        'az login --tenant "72f988bf-86f1-41af-91ab-2d7cd011db47" --scope '
        '"https://management.core.windows.net//.default"' in text
    )


@pytest.mark.parametrize(
    "cli",
    [
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
        "ERROR: Certificate verification failed. This typically happens when using Azure CLI behind a proxy",
    ],
)
def test_another_login_is_not_the_answer_to_a_certificate(cli: str) -> None:
    text = told(cli=cli)
    assert "SSL_CERT_FILE" in text
    assert "REQUESTS_CA_BUNDLE" in text
    assert "Run: az login" not in text


def test_without_any_login_it_is_az_login() -> None:
    assert told(tenant="contoso.com").endswith(
        "Run: az login --tenant contoso.com (in CI: set up workload identity federation)"
    )


def test_a_federated_token_that_nobody_trusts() -> None:
    text = told(
        "workload-identity",
        environment="Authentication failed: AADSTS700213: No matching federated identity record found",
    )
    assert "federated credential" in text
    assert "az login" not in text


EXPIRED = "AADSTS700024: Client assertion is not within its valid time range. Current time: x, valid from y"


def test_a_federated_token_that_has_expired() -> None:
    of_file = told("workload-identity", environment=f"Authentication failed: {EXPIRED}")
    assert "AZURE_FEDERATED_TOKEN_FILE names has expired" in of_file
    assert "issuer" not in of_file
    of_az = told(
        cli=f"ERROR: {EXPIRED} Trace ID: 1\nInteractive authentication is needed. Please run:\naz login"
    )
    assert "OIDC token" in of_az
    assert "set up workload identity federation" not in of_az


def test_a_program_that_took_too_long() -> None:
    text = told(cli="Timed out waiting for Azure CLI")
    assert "az account get-access-token" in text
    assert "az login" not in text


def test_the_command_for_a_claims_challenge_is_given_whole() -> None:
    scope = "https://graph.microsoft.com/.default"
    command = f"az login --claims-challenge eyJhIjp7fX0= --tenant contoso.com --scope {scope}"
    text = told(
        "cli",
        environment="This credential doesn't support claims challenges. To authenticate with the required "
        f"claims, please run the following command (requires Azure CLI version 2.76.0 or later): {command}",
    )
    assert text.endswith(f"Run: {command}")


def test_a_wrong_client_secret_of_a_real_run(acr: World) -> None:
    tenant, operator = acr.cloud.state.tenant_id, acr.cloud.state.operator
    env = {
        "AZURE_TENANT_ID": tenant,
        "AZURE_CLIENT_ID": operator.app_id,
        "AZURE_CLIENT_SECRET": "not-the-secret",
        "AZURE_FEDERATED_TOKEN_FILE": "",
    }
    refused = acr.onboard(env=env)
    assert refused.code == 3, refused.text
    assert "AZURE_CLIENT_SECRET is not valid" in refused.text
    assert "az login" not in refused.text
    assert "not-the-secret" not in refused.text


class TestWhatAnAnswerMeans:
    def test_a_refused_token_is_not_a_wrong_name(self, acr: World) -> None:
        acr.fault("arm.ListRegistries=401;code=InvalidAuthenticationToken*forever")
        refused = acr.onboard()
        assert refused.code == 3, refused.text
        assert "--registry and" not in refused.text
        assert "Log in again" in refused.text

    def test_a_graph_that_is_away_is_neither_a_missing_right_nor_a_wrong_app_id(self, acr: World) -> None:
        assert acr.onboard().code == 0
        acr.fault("graph.GetApplication=503*forever")
        listed = acr.run("list", "--check")
        assert "Application.Read.All" not in listed.text
        assert "--app-id" not in acr.onboard("--new-key").text

    def test_a_call_without_an_answer_was_not_refused(self, acr: World) -> None:
        acr.fault("arm.PutRoleAssignment=500*forever")
        failed = acr.run("onboard", "acr", "--yes", "--timeout", "8s")
        assert failed.code == 1, failed.text
        assert "did not answer" in failed.text
        assert "refused to grant" not in failed.text

    def test_a_refused_call_names_the_right_that_it_takes(self, acr: World) -> None:
        acr.cloud.state.denied_actions.add("Microsoft.ContainerRegistry/registries/scopeMaps/write")
        acr.fault("arm.ListPermissions=403*forever")
        failed = acr.onboard("--auth-kind", "token", "--repository", "checkout")
        assert failed.code == 1, failed.text
        assert "Microsoft.ContainerRegistry/registries/scopeMaps/write granted" in failed.text

    def test_a_token_that_expires_in_the_middle_of_a_run_is_fetched_anew_once(self, acr: World) -> None:
        acr.fault("arm.PutRoleAssignment=401;code=ExpiredAuthenticationToken")
        acr.fault("graph.AddPassword=401;code=InvalidAuthenticationToken")
        done = acr.onboard()
        assert done.code == 0, done.text
        assert acr.held(NAME).server == "acmeshop.azurecr.io"
