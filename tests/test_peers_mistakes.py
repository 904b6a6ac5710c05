"""Known mistakes of the peers, each of which is not made here. Sources: `shared/reference/google.md` and
`azure.md`.
"""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from bootstrap.testing.harness.credential_life import CLOUD_CALLS
from bootstrap.testing.harness.fork_server import ForkServer, fork_server
from bootstrap.testing.harness.stage import COMMANDS, Stage, judge, prepare, run_faulted, stage, warm
from tests.harness.google_state import account
from tests.harness.marks import full_case

MAKES_A_KEY = {
    "gcr": "iam.CreateServiceAccountKey",
    "gcr-upload": "iam.UploadServiceAccountKey",
    "acr": "graph.AddPassword",
    "acr-token": "arm.GenerateCredentials",
    "docker-hub-user": "hub.CreateAccessToken",
    "docker-hub-organization": "hub.CreateOrgAccessToken",
}


@pytest.fixture(scope="module")
def server() -> ForkServer:
    return warm(fork_server(), "gcr", "acr", "docker-hub-user")


def _log(on: Stage) -> list[tuple[str, str]]:
    return [(f"{call.api}.{call.method}", call.resource) for call in on.world.running.sandbox.log.calls]


def _count(on: Stage, name: str) -> int:
    return sum(one == name for one, _ in _log(on))


# -- gcloud --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "fault"),
    [full_case("onboard", "hang-after"), ("onboard", "lost"), full_case("rotate", "lost")],
)
@pytest.mark.parametrize("kind", MAKES_A_KEY)
def test_a_key_whose_answer_is_lost_does_not_leave_two(
    server: ForkServer, kind: str, command: str, fault: str
) -> None:
    """`gcloud` sends the POST again, leaves two keys, tells of one, and ends with 0."""
    with stage(server, kind) as on:
        faulted = run_faulted(on, command, f"{MAKES_A_KEY[kind]}={fault}", 12)
        assert faulted.taken == 1, _log(on)
        assert faulted.wrong == [], faulted.ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_is_left_to_google_to_complete(server: ForkServer, command: str) -> None:
    """`gcloud` names keys under `projects/-`, where a 404 comes as a misleading 403."""
    with stage(server, "gcr") as on:
        prepare(on, command)
        assert on.run(command, 30).code == 0
        assert [resource for _, resource in _log(on) if "projects/-" in resource] == []


def test_a_policy_is_read_again_before_each_write(server: ForkServer) -> None:
    """Whoever writes again with the etag of the first time never succeeds."""
    with stage(server, "gcr") as on:
        untouched = on.there()
        on.world.fault("artifactregistry.SetIamPolicy=409*4")
        ended = on.run("onboard", 60)
        assert ended.code == 0, ended.err
        calls = [name for name, _ in _log(on) if name.startswith("artifactregistry.") and "IamPolicy" in name]
        writes = [number for number, name in enumerate(calls) if name.endswith("SetIamPolicy")]
        assert len(writes) == 5
        assert all(calls[number - 1].endswith("GetIamPolicy") for number in writes)
        assert untouched <= on.there()


def test_an_account_that_is_not_known_yet_is_waited_for(server: ForkServer) -> None:
    """`gcloud` ends at once with "Service account ... does not exist", which passes within a minute."""
    with stage(server, "gcr") as on:
        account = "akka-docker-reader@acme-shop.iam.gserviceaccount.com"
        on.world.fault(
            f"artifactregistry.SetIamPolicy=400;message={quote(f'Service account {account} does not exist.')}*2"  # noqa: E501
        )
        ended = on.run("onboard", 60)
        assert ended.code == 0, ended.err


# -- Vault ---------------------------------------------------------------------------------------------------


def test_what_is_cleaned_up_has_a_name(server: ForkServer) -> None:
    """Vault's clean-up of a key whose name it never learned deletes the empty name, and no key."""
    with stage(server, "gcr") as on:
        state = on.world.cloud.state
        made = state.add_account("acme-shop", "puller", created=state.now())
        on.world.fault("registry.GetManifest=403*forever")
        ended = on.run("onboard", 4, "--service-account", made.email)
        assert ended.code == 1, ended.err
        deleted = [resource for name, resource in _log(on) if name == "iam.DeleteServiceAccountKey"]
        assert len(deleted) == 1
        assert len(deleted[0].rpartition("/keys/")[2]) == 40
        assert made.user_keys() == []

        on.world.running.sandbox.faults.faults.clear()
        on.world.fault("iam.CreateServiceAccountKey=lost")
        ended = on.run("onboard", 10, "--service-account", made.email)
        (orphan,) = made.user_keys()
        assert ended.code == 6
        assert f"keys delete {orphan.id} " in ended.out
        assert _count(on, "iam.DeleteServiceAccountKey") == 1


@pytest.mark.parametrize(
    ("kind", "call", "options"),
    [
        ("gcr", "iam.DeleteServiceAccount=404*2", ()),
        (
            "gcr",
            "iam.DeleteServiceAccountKey=404*2",
            ("--service-account", "puller@acme-shop.iam.gserviceaccount.com"),
        ),
    ],
)
def test_what_is_not_known_yet_is_not_taken_for_gone(
    server: ForkServer, kind: str, call: str, options: tuple[str, ...]
) -> None:
    """A server that does not know the new thing yet says 404 to its removal, and the thing would live on."""
    with stage(server, kind) as on:
        state = on.world.cloud.state
        state.add_account("acme-shop", "puller", created=state.now())
        before = on.there()
        on.world.fault("registry.GetManifest=403*forever")
        on.world.fault(call)
        ended = on.run("onboard", 4, *options)
        assert ended.code == 1, ended.err
        assert on.world.running.sandbox.faults.faults[1].taken == 2
        assert on.there() == before


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        ("gcr", "iam.CreateServiceAccount"),
        ("gcr", "artifactregistry.SetIamPolicy"),
        ("gcr", "iam.CreateServiceAccountKey"),
        ("acr", "graph.UpsertApplication"),
        ("acr", "graph.CreateServicePrincipal"),
        ("acr", "graph.AddPassword"),
        ("acr", "arm.PutRoleAssignment"),
        ("acr-token", "arm.PutScopeMap"),
        ("acr-token", "arm.GenerateCredentials"),
        ("docker-hub-user", "hub.CreateAccessToken"),
    ],
)
def test_a_plain_refusal_is_not_tried_again(server: ForkServer, kind: str, call: str) -> None:
    """Vault tries a 403 for 80 s like any other error."""
    with stage(server, kind) as on:
        before = on.there()
        on.world.fault(f"{call}=403*forever")
        ended = on.run("onboard", 30)
        assert ended.code == 1, ended.err
        assert _count(on, call) == 1
        assert on.there() == before


def test_the_hint_to_come_again_in_a_day_is_not_taken(server: ForkServer) -> None:
    """Google's "maximum number of keys" carries a retry hint of 86,401 s."""
    with stage(server, "gcr") as on:
        before = on.there()
        said = quote("Maximum number of keys on account reached.")
        on.world.fault(f"iam.CreateServiceAccountKey=429;retry-after=86401;message={said}*forever")
        ended = on.run("onboard", 60)
        assert ended.code == 1, ended.err
        assert "10 keys" in ended.err
        assert _count(on, "iam.CreateServiceAccountKey") == 1
        assert ended.seconds < 40
        assert on.there() == before


@pytest.mark.parametrize("kind", ["gcr", "acr", "acr-token", "docker-hub-user"])
def test_a_hint_to_come_again_never_outlasts_the_deadline(server: ForkServer, kind: str) -> None:
    with stage(server, kind) as on:
        untouched = on.there()
        on.world.fault(f"{CLOUD_CALLS[kind]}=429;retry-after=3600*forever")
        ended = on.run("onboard", 6)
        assert ended.code in (1, 3), ended.err
        assert judge(on, "onboard", 6, ended, untouched, untouched) == []


# -- az ------------------------------------------------------------------------------------------------------


def test_a_new_application_that_is_not_known_yet_is_waited_for(server: ForkServer) -> None:
    """`az` takes a 404 on addPassword for the end, and leaves an application without a secret."""
    with stage(server, "acr") as on:
        on.world.fault("graph.AddPassword=404*3")
        ended = on.run("onboard", 60)
        assert ended.code == 0, ended.err
        assert _count(on, "graph.AddPassword") == 4


def test_a_new_application_that_never_gets_known_is_removed(server: ForkServer) -> None:
    with stage(server, "acr") as on:
        before = on.there()
        on.world.fault("graph.AddPassword=404*forever")
        ended = on.run("onboard", 6)
        assert ended.code == 1, ended.err
        assert on.there() == before


def test_a_principal_that_is_not_known_yet_is_waited_for(server: ForkServer) -> None:
    with stage(server, "acr") as on:
        on.world.fault("arm.PutRoleAssignment=400;code=PrincipalNotFound*3")
        ended = on.run("onboard", 60)
        assert ended.code == 0, ended.err


@pytest.mark.parametrize("call", ["UpsertApplication", "CreateServicePrincipal"])
@pytest.mark.parametrize("fault", ["lost", "503", "429"])
def test_what_is_sent_again_is_made_once(server: ForkServer, call: str, fault: str) -> None:
    with stage(server, "acr") as on:
        untouched = on.there()
        on.world.fault(f"graph.{call}={fault}")
        ended = on.run("onboard", 30)
        assert ended.code == 0, ended.err
        new = [
            line.rsplit(" ", 1)[0].split(" ")[:2]
            for line in on.there() - untouched
            if line.startswith("azure ")
        ]
        assert sorted(map(" ".join, new)) == [
            "azure application",
            "azure principal",
            "azure role",
            "azure secret",
        ]


@pytest.mark.parametrize("command", ["rotate", "offboard"])
def test_secrets_of_others_stay(server: ForkServer, command: str) -> None:
    """`az ad sp create-for-rbac` on a name that exists deletes every secret of it, before Akka has the new
    one.
    """
    with stage(server, "acr") as on:
        prepare(on, command)
        state = on.world.cloud.state
        (ours,) = [one for one in state.applications if one.unique_name == "pullkey-akka-docker-reader"]
        theirs = on.world.running.call(_made(lambda: state.add_secret(ours, display_name="somebody else's")))
        assert on.run(command, 30).code in (0, 6)
        assert theirs in [one for one in ours.secrets if one.lifetime.exists]


@pytest.mark.parametrize("kind", ["gcr", "acr", "acr-token", "docker-hub-user"])
def test_the_old_key_goes_after_akka_has_the_new_one(server: ForkServer, kind: str) -> None:
    with stage(server, kind) as on:
        prepare(on, "rotate")
        begin = len(_log(on))
        assert on.run("rotate", 30).code == 0
        names = [name for name, _ in _log(on)[begin:]]
        changes = [
            name for name in names if name.split(".")[1].startswith(("Delete", "Remove", "UpdateToken"))
        ]
        assert changes
        assert names.index("akka.docker.add-credentials") < names.index(changes[0])


async def _made(make: object) -> object:
    assert callable(make)
    return make()


# -- what takes its time -------------------------------------------------------------------------------------


def test_an_account_that_still_has_its_role_is_not_taken_for_gone(server: ForkServer) -> None:
    with stage(server, "gcr") as on:
        faulted = run_faulted(on, "offboard", "iam.GetServiceAccount=404*forever", 30)
        assert faulted.ended.code == 6, faulted.ended.err
        assert "gcloud iam service-accounts delete akka-docker-reader@" in faulted.ended.out
        assert faulted.wrong == [], faulted.ended.err


def test_a_read_that_lags_does_not_cost_the_new_password(server: ForkServer) -> None:
    """Azure removes each password of a token that is not named as staying; the new one was not, if not
    shown yet.
    """
    with stage(server, "acr-token") as on:
        # The last read is that before the old password is removed.
        faulted = run_faulted(on, "rotate", "arm.GetToken#5=stale", 30)
        assert faulted.taken == 1
        assert faulted.ended.code == 0, faulted.ended.err
        assert faulted.wrong == []


def test_a_policy_without_an_etag_is_never_written_back(server: ForkServer) -> None:
    """An answer that came empty was once taken for a policy without bindings; written back, it took
    everybody's.
    """
    with stage(server, "gcr") as on:
        before = on.there()
        on.world.fault("artifactregistry.GetIamPolicy=empty*forever")
        ended = on.run("onboard", 6)
        assert ended.code in (1, 3), ended.err
        assert on.there() == before
        assert account(on.world) is None
        assert json.loads(ended.out)["changed"] is False
