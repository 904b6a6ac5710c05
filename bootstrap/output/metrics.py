"""What `pullkey list` shows, as metrics for Prometheus, by the library prometheus-client (extra `metrics`).

Names and units follow Prometheus' "Metric and label naming" and "Instrumentation": times are Unix timestamps
in seconds, so that age and time left are computed when they are queried. No label is a secret or unbounded; a
key's id is a label of `pullkey_credential_key_info` alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bootstrap.output.tables import state_word

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import CollectorRegistry

BEGINNING = b"# HELP pullkey_"
"""The first bytes of each text."""
STATES = ("ok", "wrong", "unseen", "external", "not-ours", "removed")

_CREDENTIAL = "pullkey_credential"
_MOMENTS = {
    f"{_CREDENTIAL}_expiry_timestamp_seconds": "When the key expires; absent if it does not, or is unknown.",
    f"{_CREDENTIAL}_key_created_timestamp_seconds": "When the key was created, which is the last rotation.",
    f"{_CREDENTIAL}_due_timestamp_seconds": "From when on the key is due for rotation.",
    f"{_CREDENTIAL}_last_pull_timestamp_seconds": "When this machine last saw the key pull.",
}


def as_openmetrics(document: Mapping[str, Any], *, now: dt.datetime) -> str:
    """The metrics of a document of `list`, as OpenMetrics 1.0.

    Args:
        document: of a project, of all projects, or of a file.
        now: when it was read.
    """
    from prometheus_client.openmetrics.exposition import generate_latest

    text: bytes = generate_latest(_registry(document, now))  # type: ignore[no-untyped-call]
    return text.decode()


def as_prometheus_text(document: Mapping[str, Any], *, now: dt.datetime) -> str:
    """The same in Prometheus' text format 0.0.4, which node_exporter's textfile collector reads."""
    from prometheus_client.exposition import generate_latest

    return generate_latest(_registry(document, now)).decode()


def _registry(document: Mapping[str, Any], now: dt.datetime) -> CollectorRegistry:
    from prometheus_client.registry import Collector, CollectorRegistry

    class Listing(Collector):
        def collect(self) -> Iterable[Metric]:
            return _families(document, now)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Listing())
    return registry


def _families(document: Mapping[str, Any], now: dt.datetime) -> Iterator[Metric]:
    from prometheus_client.metrics_core import Metric

    rows = list(_rows(document))
    where = _where(document)
    unread = bool(document.get("projects_not_read")) or any(row["not_seen"] for _, row in rows)
    success = Metric("pullkey_list_success", "Whether all credentials could be read completely.", "gauge")
    success.add_sample(success.name, where, float(not unread))
    yield success
    read = Metric(
        "pullkey_list_timestamp_seconds", "When the credentials were read.", "gauge", unit="seconds"
    )
    read.add_sample(read.name, where, round(now.timestamp()))
    yield read
    left_over = Metric("pullkey_list_left_over", "How many things earlier runs have left over.", "gauge")
    left = [*document.get("left_over", ()), *(one for _, row in rows for one in row.get("left_over", ()))]
    left_over.add_sample(left_over.name, where, len(left))
    yield left_over

    info = Metric(f"{_CREDENTIAL}_key", "The key that Akka's record names.", "info")
    state = Metric(f"{_CREDENTIAL}_state", "Its state, as `list` names it.", "stateset")
    problems = Metric(f"{_CREDENTIAL}_problems", "How many problems `list` shows.", "gauge")
    moments = {name: Metric(name, help_text, "gauge", unit="seconds") for name, help_text in _MOMENTS.items()}
    for labels, row in rows:
        if row["key_id"]:
            info.add_sample(f"{info.name}_info", {**labels, "key_id": row["key_id"]}, 1)
        for one in STATES:
            state.add_sample(state.name, {**labels, state.name: one}, float(one == state_word(row["state"])))
        problems.add_sample(problems.name, labels, len(row["wrong"]))
        for metric, when in zip(moments.values(), row["moments"], strict=True):
            if when:
                metric.add_sample(metric.name, labels, round(dt.datetime.fromisoformat(when).timestamp()))
    yield from (info, state, problems, *moments.values())


_OF_AKKA = ("project", "owner", "region", "context")
"""What tells two projects apart: a file of `--textfile` of each context may have the same names."""


def _where(document: Mapping[str, Any]) -> dict[str, str]:
    """The labels of what was listed. Two files in one directory of the textfile collector hold different
    series, of which it would drop one otherwise (client_golang: "was collected before with the same name and
    label values").
    """
    if "file" in document:
        return {"file": document["file"]}
    akka = document.get("akka", {})
    return {name: akka[name] for name in _OF_AKKA if akka.get(name)}


def _rows(document: Mapping[str, Any]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """The labels and values of each credential. An empty label is left out, as Prometheus treats it."""
    for one in document["credentials"] if "credentials" in document else document["targets"]:
        credential = one if "credentials" in document else one["credential"] or {}
        akka, key = one["akka"], credential.get("key") or {}
        labels = {
            "project": akka["project"],
            "owner": akka["owner"],
            "region": akka["region"],
            "context": akka.get("context"),
            "name": akka.get("secret_name") or one["name"],
            "provider": one["provider"],
            "registry": one["registry"] or credential.get("server"),
        }
        moments = (
            key.get("ends"),
            key.get("created"),
            credential.get("due_on"),
            credential.get("last_pulled"),
        )
        row = {**one, "key_id": credential.get("key_id"), "moments": moments}
        yield {name: value for name, value in labels.items() if value}, row
