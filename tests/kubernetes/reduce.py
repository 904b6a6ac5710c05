"""Makes schemas.json: of Kubernetes' own JSON Schemas, what the manifests in `deploy/` need.

    pip download --no-deps kubernetes-validate
    python tests/kubernetes/reduce.py kubernetes_validate-*.whl

Descriptions are left out, and so is null, which the API takes for "not given": here it is a value that was
forgotten.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

VERSIONS = ("1.29", "1.37")
KINDS = {
    "CronJob": "io.k8s.api.batch.v1.CronJob",
    "Job": "io.k8s.api.batch.v1.Job",
    "Namespace": "io.k8s.api.core.v1.Namespace",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
}
_AT = "kubernetes_validate/kubernetes-json-schema/v{}.0-local-strict/_definitions.json"
_LEFT_OUT = (
    "description",
    "x-kubernetes-group-version-kind",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-unions",
)


def reduced(node: Any, *, names: bool = False) -> Any:
    """Without what only people need; `names` where the keys are names of fields."""
    if isinstance(node, list):
        return [reduced(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: reduced(value, names=key in ("properties", "$defs") and not names)
        for key, value in node.items()
        if names or key not in _LEFT_OUT
    }
    if not names and isinstance(kept.get("type"), list):
        (kept["type"],) = (one for one in kept["type"] if one != "null")
    return kept


def referred(node: Any) -> set[str]:
    """The definitions that a schema refers to."""
    if isinstance(node, list):
        return set().union(*map(referred, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix("#/$defs/")} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(referred, node.values()))


def of_version(definitions: dict[str, Any]) -> dict[str, Any]:
    """One schema that has the kinds and all that they refer to."""
    wanted, found = set(KINDS.values()), {}
    while wanted:
        name = wanted.pop()
        found[name] = reduced(definitions[name])
        wanted |= referred(found[name]) - found.keys()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": dict(sorted(found.items()))}


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        schemas = {one: of_version(json.loads(wheel.read(_AT.format(one)))["$defs"]) for one in VERSIONS}
    path = Path(__file__).with_name("schemas.json")
    path.write_text(json.dumps(schemas, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
