"""What `deploy/` has: manifests that Kubernetes takes and that ask for nothing more than is needed, and
that do what they say.
"""

from __future__ import annotations

import copy
import functools
import http.server
import json
import re
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from jsonschema import Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families as parse_text

from bootstrap.testing.harness.fork_server import fork_server
from bootstrap.testing.harness.world import Result, World
from tests.kubernetes.reduce import KINDS, VERSIONS

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
SCHEMAS = json.loads((ROOT / "tests" / "kubernetes" / "schemas.json").read_text(encoding="utf-8"))
CONTAINERS = "europe-west1-docker-pkg-dev-acme-shop-containers"


@functools.cache
def manifests() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Those that the kustomizations name, which are all that are there."""
    return tuple(_manifests())


def _manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        for one in yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
            if one.get("kind") in KINDS:
                yield f"{path.parent.name}/{path.name}: {one['kind']} {one['metadata']['name']}", one


def found(kind: str, name: str) -> dict[str, Any]:
    return next(one for _, one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name))


def pods() -> dict[str, dict[str, Any]]:
    """The Pods' templates, by the name of their job."""
    nightly, thousands = found("CronJob", "pullkey-rotate"), found("Job", "pullkey-apply")
    hourly = found("CronJob", "pullkey-metrics")
    return {
        "rotate": nightly["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        "metrics": hourly["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        "apply": thousands["spec"]["template"]["spec"],
    }


def validator(version: str, kind: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMAS[version], "$ref": f"#/$defs/{KINDS[kind]}"})


# -- Kubernetes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", [pytest.param(one, id=name) for name, one in manifests()])
def test_a_manifest_is_as_kubernetes_has_it(manifest: dict[str, Any], version: str) -> None:
    validator(version, manifest["kind"]).validate(manifest)


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict):
        yield at
        for key, value in node.items():
            yield from places(value, (*at, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from places(value, (*at, number))


KUSTOMIZATIONS = sorted((DEPLOY / "kubernetes").rglob("kustomization.yaml"))


def test_each_file_is_named_by_its_kustomization() -> None:
    for path in KUSTOMIZATIONS:
        named = yaml.safe_load(path.read_text(encoding="utf-8"))
        files = [*named.get("resources", []), *named.get("components", [])]
        for generator in named.get("configMapGenerator", []):
            files += generator["files"]
        assert all((path.parent / one).exists() for one in files), path
        here = {one.name for one in path.parent.glob("*.yaml")} - {path.name}
        assert here == {one for one in files if "/" not in one}, path


def rendered(folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.needs_kubectl
@pytest.mark.parametrize("name", ["overlays/rotate", "overlays/apply", "example"])
def test_what_kustomize_makes_of_it_is_as_kubernetes_has_it(name: str) -> None:
    made = rendered(DEPLOY / "kubernetes" / name)
    for one in made:
        if one["kind"] != "ConfigMap":
            validator(VERSIONS[0], one["kind"]).validate(one)
    policies = {one["metadata"]["name"]: one["spec"] for one in made if one["kind"] == "NetworkPolicy"}
    assert ("gke-metadata-server" in policies) is (name == "example")
    assert ("cluster-dns" in policies) is (name == "example")


@pytest.mark.needs_kubectl
@pytest.mark.parametrize("overlay", ["rotate", "apply"])
def test_the_example_sets_image_file_and_account(tmp_path: Path, overlay: str) -> None:
    """Also in a second copy, with the other overlay."""
    copied = tmp_path / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", copied)
    file = copied / "example" / "kustomization.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("  - ../overlays/rotate", f"  - ../overlays/{overlay}")
    )
    made = {one["kind"]: one for one in rendered(file.parent)}
    job = made["CronJob"]["spec"]["jobTemplate"] if overlay == "rotate" else made["Job"]
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].endswith("/tools/pullkey:0.1.0")
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert volumes["registries"]["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
    assert made["ServiceAccount"]["metadata"]["annotations"].keys() == {"iam.gke.io/gcp-service-account"}


def test_what_the_page_applies_is_a_copy_of_the_example() -> None:
    """An overlay by itself has neither image, nor file, nor account."""
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    applied = re.findall(r"kubectl apply -k (\S+)", page)
    assert applied
    assert all(one.startswith("deploy/kubernetes/example") for one in applied), applied


def mine(
    tmp_path: Path, job: str, *components: str, patches: Sequence[Any] = (), **config_maps: str
) -> list[dict[str, Any]]:
    """What kustomize makes of a team's own directory, with these components and values."""
    copied = tmp_path / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", copied)
    (copied / "mine").mkdir()
    written = {
        "resources": [f"../overlays/{job}"],
        "components": [f"../components/{one}" for one in components],
        "patches": list(patches),
        "configMapGenerator": [
            {"name": f"pullkey-{name}", "namespace": "pullkey", "literals": [value]}
            for name, value in config_maps.items()
        ],
    }
    (copied / "mine" / "kustomization.yaml").write_text(yaml.safe_dump(written))
    return rendered(copied / "mine")


@pytest.mark.needs_kubectl
def test_the_patch_of_the_page_names_a_storage_class_for_the_parts(tmp_path: Path) -> None:
    """The default ones of GKE and AKS are disks, which are no ReadWriteMany."""
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    (patch,) = re.findall(r"```yaml\n(- target:.*?)```", page, re.DOTALL)
    made = mine(tmp_path, "apply", patches=yaml.safe_load(patch))
    (claim,) = [one for one in made if one["kind"] == "PersistentVolumeClaim"]
    validator(VERSIONS[0], claim["kind"]).validate(claim)
    assert claim["spec"]["storageClassName"] == "standard-rwx"
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]


def template_in(made: list[dict[str, Any]]) -> dict[str, Any]:
    (one,) = [one for one in made if one["kind"] in ("Job", "CronJob")]
    validator(VERSIONS[0], one["kind"]).validate(one)
    template: dict[str, Any] = one["spec"].get("jobTemplate", one)["spec"]["template"]
    return template


@pytest.mark.needs_kubectl
@pytest.mark.parametrize("job", ["rotate", "apply"])
def test_on_aks_the_pods_have_the_label_of_workload_identity(tmp_path: Path, job: str) -> None:
    made = mine(tmp_path, job, "aks", "aks-cilium")
    assert template_in(made)["metadata"]["labels"] == {
        "app.kubernetes.io/name": "pullkey",
        "azure.workload.identity/use": "true",
    }
    assert [one["kind"] for one in made if one["metadata"]["name"] == "aks-localdns"] == [
        "CiliumNetworkPolicy",
        "NetworkPolicy",
    ]


@pytest.mark.needs_kubectl
@pytest.mark.parametrize("job", ["rotate", "apply"])
def test_a_cluster_of_one_cloud_logs_in_to_the_other(tmp_path: Path, job: str) -> None:
    """By a projected token, with the variables that the clouds' libraries read."""
    made = mine(
        tmp_path,
        job,
        "azure-login",
        "google-login",
        azure="AZURE_CLIENT_ID=1",
        google="credential-configuration.json={}",
    )
    pod = template_in(made)["spec"]
    (container,) = pod["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["volumes"]}
    maps = {one["metadata"]["name"] for one in made if one["kind"] == "ConfigMap"}
    for name, variable, audience in (
        ("azure-login", "AZURE_FEDERATED_TOKEN_FILE", "api://AzureADTokenExchange"),
        ("google-login", None, "pullkey-google"),
    ):
        (source,) = volumes[name]["projected"]["sources"]
        token = source["serviceAccountToken"]
        assert token["audience"] == audience
        assert mounts[name]["readOnly"] is True
        path = f"{mounts[name]['mountPath']}/{token['path']}"
        page = (ROOT / "docs" / "kubernetes.md").read_text()
        if variable:
            assert env[variable] == path
            assert f'"audiences": ["{audience}"]' in page
        else:
            assert f"--credential-source-file={path}" in page
            assert f"--allowed-audiences={audience}" in page
    (one,) = container["envFrom"]
    assert one["configMapRef"]["name"] in maps
    # The configuration of a federation, which is no secret, and nothing of a key.
    configuration = volumes["google-configuration"]["configMap"]["name"]
    assert configuration in maps
    assert env["GOOGLE_APPLICATION_CREDENTIALS"] == (
        f"{mounts['google-configuration']['mountPath']}/credential-configuration.json"
    )
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.needs_kubectl
@pytest.mark.parametrize("components", [("rotate", "metrics"), ("apply",)], ids="-".join)
def test_every_job_can_read_the_logins_that_the_file_names(
    tmp_path: Path, components: tuple[str, ...]
) -> None:
    job, *others = components
    made = mine(tmp_path, job, *others, "logins")
    jobs = [one for one in made if one["kind"] in ("Job", "CronJob")]
    assert len(jobs) == len(components)
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    for one in jobs:
        validator(VERSIONS[0], one["kind"]).validate(one)
        pod = one["spec"].get("jobTemplate", one)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "logins"]
        assert mount["readOnly"] is True
        (volume,) = [one for one in pod["volumes"] if one["name"] == "logins"]
        # Its user reads them as a member of the volume's group.
        assert volume["secret"]["defaultMode"] == 0o440
        assert pod["securityContext"]["fsGroup"]
        assert f"secret generic {volume['secret']['secretName']} --from-file=harbor=/dev/stdin" in page
        assert f"`login: file:{mount['mountPath']}/harbor`" in page


def test_the_page_binds_each_login_to_the_pods_service_account() -> None:
    account = found("ServiceAccount", "pullkey")["metadata"]
    who = f"{account['namespace']}/{account['name']}"
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    assert f'--member="serviceAccount:CLUSTER_PROJECT.svc.id.goog[{who}]"' in page
    subject = f"system:serviceaccount:{who.replace('/', ':')}"
    assert f'"subject": "{subject}"' in page
    assert f'workloadIdentityPools/clusters/subject/{subject}"' in page
    assert "principalSet" not in page


@pytest.mark.needs_kubectl
def test_the_hourly_job_has_the_image_and_the_login_of_the_nightly_one(tmp_path: Path) -> None:
    copied = tmp_path / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", copied)
    file = copied / "example" / "kustomization.yaml"
    file.write_text(file.read_text().replace("components:\n", "components:\n  - ../components/metrics\n"))
    jobs = [one["spec"]["jobTemplate"] for one in rendered(file.parent) if one["kind"] == "CronJob"]
    both = [one["spec"]["template"]["spec"] for one in jobs]
    assert len(both) == 2
    assert len({one["containers"][0]["image"] for one in both}) == 1
    assert len({json.dumps(one["volumes"], sort_keys=True) for one in both}) == 1
    text = (file.parents[1] / "overlays" / "rotate" / "kustomization.yaml").read_text()
    file.write_text(
        text.replace("]", "]\ncomponents: [../components/metrics, ../components/aks]").replace(
            "../../base, cronjob.yaml, state.yaml", "../overlays/rotate"
        )
    )
    labels = [
        one["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
        for one in rendered(file.parent)
        if one["kind"] == "CronJob"
    ]
    assert [one.get("azure.workload.identity/use") for one in labels] == ["true", "true"]


def example_of(count: int) -> str:
    """The example's file with so many targets, each with an Akka project and a Google project of its own."""
    head, mark, target = (
        (DEPLOY / "kubernetes" / "example" / "registries.yaml").read_text().partition("  - provider:")
    )
    one = (mark + target).replace("acme-shop", "acme-shop-NNNN") + "    akka-project: shop-NNNN\n"
    return head + "".join(one.replace("NNNN", f"{number:04}") for number in range(count))


def test_how_many_targets_a_config_map_holds() -> None:
    """By validation.go: ConfigMap at most 1 MiB of data, annotations at most 256 KiB in all. `kubectl apply`
    writes the whole object as JSON into an annotation.
    """
    assert len(yaml.safe_load(example_of(3))["targets"]) == 3
    page = (ROOT / "docs" / "kubernetes.md").read_text()
    by_size, by_annotation = (
        int(one.replace(",", "")) for one in re.findall(r"some (\d,\d{3}) targets", page)
    )

    def applied(count: int) -> str:
        name = {"name": "pullkey-registries-0123456789", "namespace": "pullkey", "annotations": {}}
        data = {"registries.yaml": example_of(count)}
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": name})

    assert len(example_of(by_size)) < 2**20 < len(example_of(by_size * 5 // 4))
    assert len(applied(by_annotation)) < 256 * 1024 < len(applied(by_annotation * 5 // 4))


FREE = ("labels", "annotations", "matchLabels", "requests", "limits")


@pytest.mark.parametrize("manifest", [pytest.param(one, id=name) for name, one in manifests()])
def test_a_field_that_is_mistyped_anywhere_is_seen(manifest: dict[str, Any]) -> None:
    """That is: the schemas reach every place of the manifests."""
    valid = validator(VERSIONS[-1], manifest["kind"]).is_valid
    for at in places(manifest):
        if at and at[-1] in FREE:
            continue
        wrong = copy.deepcopy(manifest)
        node = wrong
        for key in at:
            node = node[key]
        node["mistyped"] = "x"
        assert not valid(wrong), at


@pytest.mark.parametrize("job", ["rotate", "apply", "metrics"])
def test_a_pod_may_do_no_more_than_it_needs(job: str) -> None:
    pod = pods()[job]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert {"requests", "limits"} <= container["resources"].keys()
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & pod.keys()
    kinds = {one["name"]: next(key for key in one if key != "name") for one in pod["volumes"]}
    assert kinds == {
        "registries": "configMap",
        "akka": "secret",
        "state": "persistentVolumeClaim",
        "tmp": "emptyDir",
    }
    writable = {one["name"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert writable == {"state", "tmp"}
    claim = next(one for one in pod["volumes"] if one["name"] == "state")["persistentVolumeClaim"][
        "claimName"
    ]
    assert found("PersistentVolumeClaim", claim)
    assert found("ServiceAccount", pod["serviceAccountName"])
    assert not [one for one in container["env"] if "TOKEN" in one["name"] and "FILE" not in one["name"]]


def test_no_key_of_a_cloud_and_no_secret_is_in_it() -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.rglob("*") if path.is_file())
    assert not [one for _, one in manifests() if one["kind"] == "Secret"]
    assert not re.search(
        r"AZURE_CLIENT_SECRET|client-secret:|creds:|credentials_json|secretKeyRef|private_key",
        texts,
    )
    # The configuration of a federation, from a ConfigMap.
    named = [
        path.parent.name
        for path in DEPLOY.rglob("*")
        if path.is_file() and "GOOGLE_APPLICATION_CREDENTIALS" in path.read_text(encoding="utf-8")
    ]
    assert named == ["google-login"]
    assert set(re.findall(r"secrets\.(\w+)", texts)) == {"AKKA_TOKEN", "HARBOR_PASSWORD"}


def test_nothing_comes_in_and_little_goes_out() -> None:
    assert found("NetworkPolicy", "default-deny")["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    dns, https = found("NetworkPolicy", "pullkey")["spec"]["egress"]
    assert [one.get("ipBlock") for one in dns["to"]][1:] == [
        {"cidr": "169.254.20.10/32"},
        {"cidr": "169.254.169.254/32"},
    ]
    assert {one["port"] for one in dns["ports"]} == {53}
    assert {one["port"] for one in https["ports"]} == {443}
    (block,) = https["to"]
    assert {"169.254.0.0/16", "100.64.0.0/10", "10.0.0.0/8"} <= set(block["ipBlock"]["except"])
    (localdns,) = found("NetworkPolicy", "aks-localdns")["spec"]["egress"]
    assert localdns["to"] == [{"ipBlock": {"cidr": "169.254.10.0/24"}}]
    (openshift,) = found("NetworkPolicy", "openshift-dns")["spec"]["egress"]
    assert [tuple(one.values()) for one in localdns["ports"]] == [("UDP", 53), ("TCP", 53)]
    assert [tuple(one.values()) for one in openshift["ports"]] == [("UDP", 5353), ("TCP", 5353)]
    cilium = DEPLOY / "kubernetes" / "components" / "aks-cilium" / "network-policy.yaml"
    assert yaml.safe_load(cilium.read_text())["spec"] == {
        "endpointSelector": {"matchLabels": {"app.kubernetes.io/name": "pullkey"}},
        "egress": [
            {
                "toEntities": ["host"],
                "toPorts": [
                    {"ports": [{"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}]}
                ],
            }
        ],
    }
    # Where NodeLocal DNSCache answers at the address of kube-dns, which differs by cluster.
    (own,) = found("NetworkPolicy", "cluster-dns")["spec"]["egress"]
    assert [tuple(one.values()) for one in own["ports"]] == [("UDP", 53), ("TCP", 53)]
    (address,) = own["to"]
    assert address["ipBlock"]["cidr"].endswith("/32")
    gke = found("NetworkPolicy", "gke-metadata-server")["spec"]
    assert {port["port"] for rule in gke["egress"] for port in rule["ports"]} == {988, 80}
    labels = {"app.kubernetes.io/name": "pullkey"}
    policies = [one for _, one in manifests() if one["kind"] == "NetworkPolicy"]
    assert all(
        one["spec"]["podSelector"] == {"matchLabels": labels}
        for one in policies
        if one["metadata"]["name"] != "default-deny"
    )
    assert found("Job", "pullkey-apply")["spec"]["template"]["metadata"]["labels"] == labels


def test_two_nightly_jobs_never_run_at_once_and_one_that_a_person_must_fix_is_not_tried_again() -> None:
    nightly, thousands = found("CronJob", "pullkey-rotate")["spec"], found("Job", "pullkey-apply")["spec"]
    assert nightly["concurrencyPolicy"] == "Forbid"
    for job, action in ((nightly["jobTemplate"]["spec"], "FailJob"), (thousands, "FailIndex")):
        assert {happens(job, code) for code in (1, 4)} == {"Count"}
        assert {happens(job, code) for code in (2, 3, 5, 6)} == {action}
        # One whose node is drained while it rolls back runs again, whatever it ended with.
        assert {happens(job, code, "DisruptionTarget") for code in (1, 4, 6, 130)} == {"Ignore"}


def happens(job: dict[str, Any], code: int, *conditions: str) -> str:
    """What Kubernetes does with a Pod that ended so: what the first rule says that matches (batch/v1,
    PodFailurePolicy).
    """
    (container,) = job["template"]["spec"]["containers"]
    for rule in job["podFailurePolicy"]["rules"]:
        codes, named = rule.get("onExitCodes"), rule.get("onPodConditions", ())
        if codes and codes["containerName"] == container["name"] and code in codes["values"]:
            return str(rule["action"])
        if any(one["type"] in conditions and one["status"] == "True" for one in named):
            return str(rule["action"])
    return "Count"


# -- what the Pods run ---------------------------------------------------------------------------------------

FILE = """version: 1
defaults: {akka-project: shop}
targets:
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/containers}
  - {provider: gcr, server: europe-west1-docker.pkg.dev/acme-shop/tools}
"""


def in_the_pod(world: World, tmp_path: Path, job: str, **env: str) -> Result:
    """What a Pod would run, with its volumes in a folder."""
    (container,) = pods()[job]["containers"]
    (tmp_path / "registries.yaml").write_text(FILE)
    set_there = {one["name"]: one["value"] for one in container["env"] if "value" in one} | env

    def here(text: str) -> str:
        text = re.sub(r"\$\((\w+)\)", lambda name: set_there[name[1]], text)
        return text.replace("/etc/pullkey/", f"{tmp_path}/").replace(
            "/var/lib/pullkey", str(tmp_path / "state")
        )

    (tmp_path / "state").mkdir(exist_ok=True)
    del set_there["PULLKEY_AKKA_TOKEN_FILE"]
    return world.run(
        *map(here, container["args"]), env={name: here(value) for name, value in set_there.items()}
    )


def audited(done: Result) -> list[dict[str, Any]]:
    """The lines of the audit trail, found in the log of a Pod, where they are among the others."""
    lines = [json.loads(line) for line in done.text.splitlines() if line.startswith("{")]
    assert lines == [json.loads(line) for line in done.out.splitlines()]
    return lines


def test_what_the_jobs_run_is_what_pullkey_takes(gcr: World, tmp_path: Path) -> None:
    completions = found("Job", "pullkey-apply")["spec"]["completions"]
    (count,) = [
        one["value"] for one in pods()["apply"]["containers"][0]["env"] if one["name"] == "JOB_COMPLETIONS"
    ]
    assert int(count) == completions
    assert found("Job", "pullkey-apply")["spec"]["completionMode"] == "Indexed"
    told, lines = "", []
    for index in (0, 1):
        done = in_the_pod(gcr, tmp_path, "apply", JOB_COMPLETION_INDEX=str(index), PART=str(index))
        assert done.code == 0, done.text
        told += done.text
        lines += audited(done)
    assert f"Part 1/{completions} of" in told
    assert CONTAINERS in gcr.names()
    assert {one["outcome"] for one in lines} == {"done"}
    done = in_the_pod(gcr, tmp_path, "rotate")
    assert done.code == 0, done.text
    assert audited(done) == []


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pullkey").write_text('#!/bin/sh\necho "$$ ${AKKA_TOKEN-none} $*"\n')
    (folder / "pullkey").chmod(0o755)
    return folder


def test_the_token_is_read_from_its_file_for_the_process_that_needs_it(
    programs: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("cst4-token\n")
    entry = [str(DEPLOY / "entrypoint"), "list", "--check"]

    def run(**env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            entry,
            env={"PATH": f"{programs}:/usr/bin:/bin", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with run(PULLKEY_AKKA_TOKEN_FILE=str(token)) as process:
        out, _ = process.communicate(timeout=20)
        assert out.split() == [str(process.pid), "cst4-token", "list", "--check"], (
            "in its place: it gets the signals"
        )
    with run() as process:
        assert process.communicate(timeout=20)[0].split()[1] == "none"
    with run(PULLKEY_AKKA_TOKEN_FILE=str(tmp_path / "no")) as process:
        assert "cannot be read" in process.communicate(timeout=20)[1]
        assert process.returncode == 2
    for nothing in ("", "\n", " \t\n"):
        token.write_text(nothing)
        with run(PULLKEY_AKKA_TOKEN_FILE=str(token)) as process:
            assert process.communicate(timeout=20) == (
                "",
                f"pullkey: {token} is empty; put Akka's token in it\n",
            )
            assert process.returncode == 2


class Pushgateway(http.server.BaseHTTPRequestHandler):
    """Takes what is put, as the Pushgateway does."""

    taken: ClassVar[list[tuple[str, str]]] = []
    status = 200

    def do_PUT(self) -> None:
        size = int(self.headers["Content-Length"])
        self.taken.append((self.path, self.rfile.read(size).decode()))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def pushgateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Pushgateway, "taken", [])
    with http.server.HTTPServer(("127.0.0.1", 0), Pushgateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_hourly_job_pushes_what_list_writes(
    gcr: World, tmp_path: Path, pushgateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (container,) = pods()["metrics"]["containers"]
    assert container["command"] == ["pullkey-push-metrics"]
    assert "/usr/local/bin/pullkey-push-metrics" in (DEPLOY / "Containerfile").read_text()
    (tmp_path / "registries.yaml").write_text(FILE)
    (tmp_path / "bin").mkdir()
    entry = tmp_path / "bin" / "pullkey-entrypoint"
    fork_server().program(tmp_path / "bin")
    entry.symlink_to("pullkey")
    arguments = [one.replace("/etc/pullkey", str(tmp_path)) for one in container["args"]]

    def push(**env: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-I", DEPLOY / "push-metrics", *arguments],
            env={
                **gcr.environment(),
                "PATH": f"{entry.parent}:{gcr.environment()['PATH']}",
                "PUSHGATEWAY": pushgateway,
                **env,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stderr

    assert gcr.onboard().code == 0
    code, text = push()
    assert code == 0, text
    ((path, pushed),) = Pushgateway.taken
    assert path == "/metrics/job/pullkey"
    # Of the types that a Pushgateway knows; it refuses info and stateset.
    assert {family.type for family in parse_text(pushed)} == {"gauge"}
    assert f'name="{CONTAINERS}"' in pushed
    monkeypatch.setattr(Pushgateway, "status", 400)
    code, text = push()
    assert code == 1
    assert "the metrics could not be pushed to http://127.0.0.1" in text
    monkeypatch.setattr(Pushgateway, "status", 200)
    Pushgateway.taken.clear()
    # Pushed all the same, and the job fails as `list` does.
    code, text = push(PULLKEY_AKKA_CLI="/nowhere/akka")
    assert code == 3, text
    assert "} 0.0" in next(
        line for line in Pushgateway.taken.pop()[1].splitlines() if line.startswith("pullkey_list_success")
    )
    # Where nothing was written, nothing takes the place of what was.
    (tmp_path / "registries.yaml").write_text("version: 9")
    code, text = push()
    assert code == 2, text
    assert Pushgateway.taken == []


# -- the image -----------------------------------------------------------------------------------------------


def lock_for(*arguments: str) -> set[str]:
    """The packages that `scripts/lock-for` prints, each of which has its hashes."""
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "lock-for", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    names = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    assert all("--hash=sha256:" in lines[number + 1] for number in names)
    return {lines[number].partition("==")[0] for number in names}


def test_only_what_the_extras_need_is_installed() -> None:
    none, google, azure, both = lock_for(), lock_for("gcr"), lock_for("acr"), lock_for("gcr", "acr")
    assert {"click", "httpx", "pyyaml"} <= none < google < both
    assert google | azure == both
    assert lock_for("all") <= both | lock_for("metrics")
    assert not [one for one in google if one.startswith(("azure", "msgraph", "msal"))]
    assert not [one for one in azure if one.startswith("google")]
    assert not {"pytest", "mypy", "ruff", "hatchling"} & both
    assert "hatchling" in lock_for("+hatchling")
    assert "click" not in lock_for("+hatchling")


def test_it_is_enough_for_each_extra() -> None:
    """All that the installed packages say that they need is in the part of the lock."""
    from importlib.metadata import PackageNotFoundError, requires

    for extra in ("gcr", "acr"):
        chosen = lock_for(extra)
        for name in chosen:
            try:
                needed = requires(name) or []
            except PackageNotFoundError:
                continue
            plain = [re.split(r"[^A-Za-z0-9._-]", one)[0] for one in needed if ";" not in one]
            assert {re.sub(r"[-_.]+", "-", one).lower() for one in plain} <= chosen, name


def test_the_image_has_no_root_and_names_no_host() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert re.findall(r"^(?:ARG BASE=|FROM )(\S+)", text, re.MULTILINE) == [
        "python:3.12-slim",
        "${BASE}",
        "${BASE}",
        "${BASE}",
    ]
    assert re.findall(r"^USER (.*)", text, re.MULTILINE) == ["10001:10001"]
    assert "://" not in text
    assert "--index-url" not in text
    for install in re.findall(r"pip install [^\n&]*", text):
        assert "--require-hashes" in install or "--no-index" in install, install
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        one
        for line in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.*)", text, re.MULTILINE)
        for one in line.split()[:-1]
    ]
    for one in copied:
        name = "deploy/akka" if one == "${AKKA_CLI}" else one
        assert f"!{name}" in ignored, name
        assert name == "deploy/akka" or (ROOT / name).exists(), name


@pytest.mark.needs_shellcheck
def test_the_entry_point_is_clean() -> None:
    subprocess.run(["shellcheck", str(DEPLOY / "entrypoint")], check=True)


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("#!/bin/sh\n", ""),
        ("cffaedfe 07000001", "a program for macOS"),
        ("cafebabe 00000002", "a program for macOS"),
        ("4d5a9000", "a program for Windows"),
        ("7f454c46 02010100 0000000000000000 0300 3e00", ""),
        ("7f454c46 02010100 0000000000000000 0300 b700", "for aarch64"),
        ("7f454c46 02020100 0000000000000000 0003 0016", "for another architecture (ELF machine 22)"),
        ("7f454c46 0201", "not a program for Linux"),
        ("", "not a program for Linux"),
    ],
)
def test_an_akka_cli_of_another_system_ends_the_build(head: str, says: str) -> None:
    problem = runpy.run_path(str(DEPLOY / "check-akka"))["problem"]
    start = head.encode() if head.startswith("#!") else bytes.fromhex(head)
    assert problem(start, "x86_64") == says


def test_the_build_says_which_akka_cli_it_needs(tmp_path: Path) -> None:
    (tmp_path / "akka").write_bytes(bytes.fromhex("cffaedfe0c000001"))
    for path, code in ((tmp_path / "akka", 1), (Path(sys.executable).resolve(), 0)):
        done = subprocess.run(
            [sys.executable, "-I", DEPLOY / "check-akka", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert ("a program for macOS. The image is for Linux on" in done.stderr) is bool(code)
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert text.index("check-akka /akka") < text.index("pip install")
