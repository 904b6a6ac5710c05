"""`pullkey list` as metrics, and the alerts on them."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from bootstrap.output.metrics import as_openmetrics, as_prometheus_text
from bootstrap.testing.harness.world import World
from tests.harness.google_state import NAME

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
SHOP = {"project": "shop", "owner": "acme", "region": None, "user": "jo@acme.example"}
LABELS = {
    "project": "shop",
    "owner": "acme",
    "name": "shop-registry",
    "provider": "acr",
    "registry": "acmeshop",
}


def credential(**changed: Any) -> dict[str, Any]:
    """One credential of `list --output json`."""
    return {
        "name": "shop-registry",
        "state": "ok",
        "provider": "acr",
        "registry": "acmeshop",
        "server": "acmeshop.azurecr.io",
        "key_id": "1234",
        "key": {"id": "1234", "created": at(-20), "ends": at(70), "disabled": False},
        "due_on": at(40),
        "last_pulled": at(-1),
        "wrong": [],
        "not_seen": [],
        "akka": SHOP,
        **changed,
    }


def at(days: float) -> str:
    return (NOW + dt.timedelta(days=days)).isoformat(timespec="seconds")


def parsed(text: str) -> list[Sample]:
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    return [sample for family in families for sample in family.samples]


def samples_of(*credentials: dict[str, Any], **document: Any) -> list[Sample]:
    text = as_openmetrics({"credentials": credentials, **document}, now=NOW)
    assert text.endswith("# EOF\n")
    return parsed(text)


def value(samples: Iterable[Sample], metric: str, /, **labels: str) -> float | None:
    found = [one.value for one in samples if one.name == metric and labels.items() <= one.labels.items()]
    assert len(found) <= 1
    return found[0] if found else None


class TestValues:
    def test_a_credential(self) -> None:
        found = samples_of(credential())
        for name, days in {"expiry": 70, "key_created": -20, "due": 40, "last_pull": -1}.items():
            moment = value(found, f"pullkey_credential_{name}_timestamp_seconds", **LABELS)
            assert moment == (NOW + dt.timedelta(days=days)).timestamp(), name
        assert value(found, "pullkey_credential_state", pullkey_credential_state="ok") == 1
        assert value(found, "pullkey_credential_state", pullkey_credential_state="wrong") == 0
        assert value(found, "pullkey_credential_problems") == 0
        assert value(found, "pullkey_list_success") == 1
        assert value(found, "pullkey_list_timestamp_seconds") == NOW.timestamp()

    def test_the_key_s_id_is_a_label_of_one_metric(self) -> None:
        found = samples_of(credential())
        assert {one.name for one in found if "key_id" in one.labels} == {"pullkey_credential_key_info"}

    def test_what_is_not_known_is_absent(self) -> None:
        key = {"id": "1234", "created": None, "ends": None, "disabled": False}
        found = samples_of(credential(key=key, due_on=None, last_pulled=None, registry=None))
        moments = [one.name for one in found if "credential" in one.name and one.name.endswith("_seconds")]
        assert moments == []
        assert value(found, "pullkey_credential_problems", registry="acmeshop.azurecr.io") == 0

    @pytest.mark.parametrize("document", [{"projects_not_read": [SHOP]}, {}])
    def test_what_could_not_be_read(self, document: dict[str, Any]) -> None:
        one = credential() if document else credential(state="unseen", not_seen=["key: no permission"])
        assert value(samples_of(one, **document), "pullkey_list_success") == 0

    def test_two_listings_in_one_directory_have_series_of_their_own(self) -> None:
        """node_exporter drops a series that another file of its directory has too, so the alert that one of
        them is old or incomplete would never fire.
        """
        listings: list[dict[str, Any]] = [
            {"credentials": [], "akka": SHOP},
            {"credentials": [], "akka": {**SHOP, "project": "billing"}},
            {"credentials": [], "akka": {"project": None, "owner": None, "region": None, "user": None}},
            {"targets": [], "file": "shop.yaml"},
        ]
        series = [
            (one.name, *one.labels.items())
            for listing in listings
            for one in parsed(as_openmetrics(listing, now=NOW))
        ]
        assert len(series) == 4 * len({name for name, *_ in series})
        assert len(series) == len(set(series))

    def test_what_is_left_over(self) -> None:
        left = {"code": "PK-LEFT-OVER", "what": "key ab", "command": "delete ab"}
        assert value(samples_of(credential(left_over=[])), "pullkey_list_left_over") == 0
        found = samples_of(credential(left_over=[left]), left_over=[left])
        assert value(found, "pullkey_list_left_over") == 2

    def test_names_of_several_owners_are_series_of_their_own(self) -> None:
        other = credential(akka={**SHOP, "owner": "acme-labs"})
        assert value(samples_of(credential(), other), "pullkey_credential_problems", owner="acme-labs") == 0

    def test_a_name_is_escaped(self) -> None:
        name = 'a"b\\c\nd'
        assert value(samples_of(credential(name=name)), "pullkey_credential_problems", name=name) == 0

    def test_the_textfile_has_only_types_that_node_exporter_knows(self) -> None:
        text = as_prometheus_text({"credentials": [credential()]}, now=NOW)
        assert {family.type for family in parse_text(text)} == {"gauge"}
        assert "# EOF" not in text


class TestCommand:
    def test_a_project(self, gcr: World, tmp_path: Path) -> None:
        gcr.onboard()
        path = tmp_path / "pullkey.prom"
        done = gcr.run("list", "--output", "openmetrics", "--textfile", str(path))
        assert done.code == 0, done.text
        found = parsed(done.out)
        labels = {"project": "shop", "owner": "acme", "name": NAME, "provider": "gcr"}
        assert value(found, "pullkey_credential_state", pullkey_credential_state="ok", **labels) == 1
        written = [one for family in parse_text(path.read_text()) for one in family.samples]
        assert {(one.name, *one.labels.items()) for one in written} == {
            (one.name, *one.labels.items()) for one in found
        }

    def test_all_projects_and_a_file(self, gcr: World, tmp_path: Path) -> None:
        gcr.onboard()
        file = tmp_path / "registries.yaml"
        server = "europe-west1-docker.pkg.dev/acme-shop/containers"
        file.write_text(
            f"version: 1\ndefaults:\n  akka-project: shop\n  rotate-after: 30d\ntargets:\n"
            f"  - {{provider: gcr, server: {server}}}\n"
        )
        for arguments in (("--all-projects",), ("-f", str(file))):
            done = gcr.run("list", *arguments, "--output", "openmetrics")
            found = parsed(done.out)
            created = value(
                found, "pullkey_credential_key_created_timestamp_seconds", project="shop", name=NAME
            )
            due = value(found, "pullkey_credential_due_timestamp_seconds", project="shop", name=NAME)
            assert created
            assert due
            assert (due - created) / 86_400 == (30 if "-f" in arguments else 90)

    def test_the_textfile_is_readable_by_all_and_replaced_as_a_whole(
        self, gcr: World, tmp_path: Path
    ) -> None:
        path = tmp_path / "pullkey.prom"
        before = os.umask(0o077)
        try:
            for _ in range(2):
                assert gcr.run("list", "--textfile", str(path)).code == 0
                assert stat.S_IMODE(path.stat().st_mode) == 0o644
        finally:
            os.umask(before)
        assert [one.name for one in tmp_path.iterdir()] == ["pullkey.prom"]
        path.write_text("precious\n")
        refused = gcr.run("list", "--textfile", str(path))
        assert refused.code == 2
        assert path.read_text() == "precious\n"
        refused = gcr.run("list", "--textfile", str(tmp_path / "pullkey.txt"))
        assert refused.code == 2
        assert "node_exporter reads only files that end in .prom" in refused.err

    def test_without_the_extra_it_says_how_to_install_it(self, gcr: World, tmp_path: Path) -> None:
        (tmp_path / "prometheus_client").write_text("")
        hook = tmp_path / "without"
        hook.mkdir()
        (hook / "prometheus_client.py").write_text(
            "raise ModuleNotFoundError('No module', name='prometheus_client')\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "bootstrap", "list", "--output", "openmetrics"],
            env={**gcr.environment(), "PYTHONPATH": f"{hook}:{ROOT}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "Metrics need prometheus-client, which is not installed" in done.stderr
        assert "Install it: " in done.stderr


def alerts(samples: Iterable[Sample], folder: Path, *, now: float, expected: dict[str, int]) -> None:
    """Have promtool evaluate the rules on these samples; `expected`: how often each alert fires.

    promtool's time begins at 0, so all times are shifted; the samples have been there for ten days.
    """
    ten_days = 10 * 86_400
    series = []
    for one in samples:
        shifted = one.value - now + ten_days if one.name.endswith("_timestamp_seconds") else one.value
        labels = ",".join(f"{name}={json.dumps(text)}" for name, text in one.labels.items())
        series.append({"series": f"{one.name}{{{labels}}}", "values": f"{shifted:.0f}+0x250"})
    (folder / "rules.yaml").write_text(RULES.read_text())
    names = [
        rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    assert expected.keys() <= set(names)
    tests = [
        {
            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
            "eval_time": "10d",
            "exp_samples": [{"labels": "{}", "value": expected.get(name, 0)}],
        }
        for name in names
    ]
    (folder / "tests.yaml").write_text(
        yaml.safe_dump(
            {
                "rule_files": ["rules.yaml"],
                "evaluation_interval": "1h",
                "tests": [{"interval": "1h", "input_series": series, "promql_expr_test": tests}],
            }
        )
    )
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_prometheus_rule_of_the_page_has_the_label_by_which_prometheus_selects_it() -> None:
    """That of kube-prometheus-stack (values.yaml, ruleSelectorNilUsesHelmValues)."""
    page = (ROOT / "docs" / "monitoring.md").read_text()
    (piped,) = re.findall(r"^(\{ printf .*?^\}) \| kubectl", page, re.MULTILINE | re.DOTALL)
    done = subprocess.run(["bash", "-c", piped], cwd=ROOT, capture_output=True, text=True, check=True)
    rule = yaml.safe_load(done.stdout)
    assert rule["kind"] == "PrometheusRule"
    assert rule["metadata"]["labels"] == {"release": "kube-prometheus-stack"}
    assert rule["spec"] == yaml.safe_load(RULES.read_text())


EXPIRING = {"PullkeyCredentialExpiresSoon": 1, "PullkeyRotationOverdue": 1}
ENDED = {"PullkeyCredentialExpired": 1, "PullkeyRotationOverdue": 1}


@pytest.mark.needs_promtool
class TestAlerts:
    def test_the_rules_and_the_metrics_are_valid(self, tmp_path: Path) -> None:
        subprocess.run(["promtool", "check", "rules", str(RULES)], check=True, capture_output=True)
        text = as_prometheus_text({"credentials": [credential()]}, now=NOW)
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ({}, {}),
            ({"key": {"created": at(-85), "ends": at(5)}, "due_on": at(-25)}, EXPIRING),
            ({"key": {"created": at(-91), "ends": at(-1)}, "due_on": at(-31)}, ENDED),
            ({"due_on": at(-4)}, {"PullkeyRotationOverdue": 1}),
            ({"due_on": at(-1)}, {}),
            ({"state": "wrong", "wrong": ["it was deleted"]}, {"PullkeyCredentialWrong": 1}),
            ({"state": "unseen", "not_seen": ["key: no permission"]}, {"PullkeyListIncomplete": 1}),
        ],
    )
    def test_each_fires_when_it_should(
        self, changed: dict[str, Any], expected: dict[str, int], tmp_path: Path
    ) -> None:
        other = credential(name="other-registry")
        found = samples_of(credential(**changed), other)
        alerts(found, tmp_path, now=NOW.timestamp(), expected=expected)

    @pytest.mark.parametrize("days", [3, 10, 20])
    def test_a_short_lived_key_that_is_rotated_in_time_fires_nothing(self, days: int, tmp_path: Path) -> None:
        """It is due when a third of its life is left, and a job has half of that to replace it."""
        for at_work, expected in ((0.1, {}), (0.6, {}), (0.8, {}), (0.9, EXPIRING), (1.01, ENDED)):
            found = samples_of(
                credential(
                    key={"created": at(-days * at_work), "ends": at(days * (1 - at_work))},
                    due_on=at(days * (2 / 3 - at_work)),
                )
            )
            alerts(found, tmp_path, now=NOW.timestamp(), expected=expected)

    def test_a_key_that_is_rotated_by_its_age_fires_nothing_before_it_expires_soon(
        self, tmp_path: Path
    ) -> None:
        found = samples_of(credential(key={"created": at(-31), "ends": at(60)}, due_on=at(-1)))
        alerts(found, tmp_path, now=NOW.timestamp(), expected={})

    def test_a_key_of_which_it_is_not_known_when_it_is_due(self, tmp_path: Path) -> None:
        found = samples_of(credential(key={"created": None, "ends": at(5)}, due_on=None))
        alerts(found, tmp_path, now=NOW.timestamp(), expected={"PullkeyCredentialExpiresSoon": 1})

    def test_what_no_credential_shows_as_left_over(self, tmp_path: Path) -> None:
        found = samples_of(credential(), left_over=[{"what": "key ab", "command": "delete ab"}])
        alerts(found, tmp_path, now=NOW.timestamp(), expected={"PullkeyLeftOver": 1})

    def test_no_metrics_at_all(self, tmp_path: Path) -> None:
        """As where the host was removed: none of the other alerts can fire then."""
        alerts([], tmp_path, now=NOW.timestamp(), expected={"PullkeyListAbsent": 1})

    def test_a_list_that_is_old(self, tmp_path: Path) -> None:
        later = NOW.timestamp() + 3 * 86_400
        alerts(samples_of(credential()), tmp_path, now=later, expected={"PullkeyListStale": 1})

    @pytest.mark.parametrize(
        ("since", "metric", "expected"),
        [
            (20, "kube_cronjob_status_last_successful_time", {}),
            (30, "kube_cronjob_status_last_successful_time", {"PullkeyJobNotSucceeded": 1}),
            (30, "kube_cronjob_created", {"PullkeyJobNotSucceeded": 1}),
            (20, "kube_cronjob_created", {}),
        ],
    )
    def test_a_nightly_job_that_does_not_succeed(
        self, since: int, metric: str, expected: dict[str, int], tmp_path: Path
    ) -> None:
        """By kube-state-metrics, which has no time of success before the first one."""
        of_the_job = {"namespace": "pullkey", "cronjob": "pullkey-rotate"}
        at_ten_days = float(10 * 86_400 - since * 3600)
        found = [*samples_of(credential()), Sample(metric, of_the_job, at_ten_days)]
        if metric.endswith("_successful_time"):
            found.append(Sample("kube_cronjob_created", of_the_job, 0.0))
        alerts(found, tmp_path, now=NOW.timestamp(), expected=expected)

    def test_the_page_makes_a_rule_of_the_prometheus_operator(self) -> None:
        page = (ROOT / "docs" / "monitoring.md").read_text()
        rule = r"^(\{ printf 'apiVersion.*?^\}) \| kubectl -n monitoring apply -f -$"
        (command,) = re.findall(rule, page, re.MULTILINE | re.DOTALL)
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
        made = yaml.safe_load(done.stdout)
        assert made["kind"] == "PrometheusRule"
        assert made["spec"] == yaml.safe_load(RULES.read_text())

    def test_a_key_that_is_about_to_expire_in_the_sandbox(self, acr: World, tmp_path: Path) -> None:
        assert acr.onboard("--expires-in", "5d").code == 0
        done = acr.run("list", "--output", "openmetrics")
        found = parsed(done.out)
        now = value(found, "pullkey_list_timestamp_seconds")
        assert now
        alerts(found, tmp_path, now=now, expected={})
        later = now + 4.5 * 86_400
        alerts(found, tmp_path, now=later, expected={**EXPIRING, "PullkeyListStale": 1})
