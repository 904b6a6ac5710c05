"""Parse what the Akka CLI shows of a project's services, their images and the state of their containers.

`akka projects export` prints a multi-document YAML descriptor (doc.akka.io, "Project Descriptor reference":
documents with `resource: Service`, `metadata.name` and `spec.image`). The JSON of `akka services list` and
`akka services get` is not published; the reference says "including container statuses", and older CLIs
printed Kubernetes objects. So one function parses each form: it looks for known names at any depth, and
ignores everything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PULL_FAILURES = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ImageInspectError",
        "InvalidImageName",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
"""A kubelet's reasons for a failed pull (kubernetes, `pkg/kubelet/images/types.go`)."""
_AKKA_REGISTRY = re.compile(r"^(?:acr\.(?:.+\.)?akka\.io|kcr\.(?:.+\.)?kalix\.io)$")
_DOCUMENT = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_REASON = re.compile(r"\b(?:" + "|".join(sorted(PULL_FAILURES)) + r")\b")
_LONGEST = 400
_DEEPEST = 30
_MOST = 100_000


@dataclass(frozen=True)
class Service:
    """A service of a project.

    Args:
        status: Akka's name of its state (`Ready`, `UpdateInProgress`, `Unavailable`, ...); "" if not shown.
    """

    name: str
    image: str = ""
    status: str = ""

    @property
    def ready(self) -> bool:
        return self.status.lower() in ("ready", "running", "available")


@dataclass(frozen=True)
class PullFailure:
    """The failed image pull of a container.

    Args:
        reason: one of `PULL_FAILURES`.
        message: the error text of the registry or the kubelet; "" if not shown.
    """

    reason: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


def is_akka_registry(host: str) -> bool:
    """Whether a host is Akka's own registry, which needs no credential (reference, `akka
    container-registry`).
    """
    return bool(_AKKA_REGISTRY.match(host.partition(":")[0].lower()))


def parse_export(text: str) -> list[Service]:
    """Parse `akka projects export`. Documents that cannot be parsed are skipped."""
    found: dict[str, Service] = {}
    for part in _DOCUMENT.split(text):
        document = _yaml(part)
        for one in document if isinstance(document, list) else [document]:
            service = _of_descriptor(one)
            if service is not None:
                found.setdefault(service.name, service)
    return list(found.values())


def _yaml(text: str) -> Any:
    """Parse one YAML document; None if it is invalid, or nested so deeply that the C loader would crash."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                return None
        return yaml.load(text, Loader=loader)  # noqa: S506  - the safe loader, in C if available
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _of_descriptor(document: Any) -> Service | None:
    """The service in a document of a project descriptor, or in a service descriptor (`name`,
    `service.image`); None for another resource.
    """
    if not isinstance(document, dict):
        return None
    kind = document.get("resource") or document.get("kind") or "Service"
    if "service" not in str(kind).lower() or "config" in str(kind).lower():
        return None
    spec = document.get("spec") or document.get("service")
    spec = spec.get("service", spec) if isinstance(spec, dict) else {}
    name, image = _name(document), _image(spec)
    return Service(name, image, _status(document)) if name and image else None


def parse_services(text: str) -> list[Service]:
    """Parse `akka services list -o json`, or any list of objects with names."""
    rows = _json(text)
    if isinstance(rows, dict):
        rows = next((value for value in rows.values() if isinstance(value, list)), [rows])
    found = []
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and (name := _name(row)):
            spec = row.get("spec")
            image = _image(spec if isinstance(spec, dict) else row) or _image(row)
            found.append(Service(name, image, _status(row)))
    return found


def parse_service(text: str) -> tuple[Service | None, list[PullFailure]]:
    """Parse `akka services get NAME -o json`: the service (None if not recognised) and its pull failures.

    Output that is not JSON is parsed as the text form in the reference: lines with `Service:`, `Status:` and
    `Image:`.
    """
    document = _json(text)
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if isinstance(document, dict):
        services = parse_services(
            json.dumps([document.get("service") if isinstance(document.get("service"), dict) else document])
        )
        return (services[0] if services else None), _failures(document)
    fields = {
        key.strip().lower(): value.strip()
        for key, colon, value in (line.partition(":") for line in text.splitlines())
        if colon and value.strip()
    }
    failures = [
        PullFailure(found[0], _shown(line.partition(found[0])[2].lstrip(": ")))
        for line in text.splitlines()
        if (found := _REASON.search(line))
    ]
    name = fields.get("service") or fields.get("name") or ""
    service = Service(_shown(name), _shown(fields.get("image", "")), _shown(fields.get("status", "")))
    return (service if name else None), _distinct(failures)


def _failures(document: Any) -> list[PullFailure]:
    """The pull failures in a document, at any depth: in `containerStatuses[].state.waiting`, for example."""
    found = []
    for one in _objects(document):
        lower = {str(key).lower(): value for key, value in one.items()}
        reason = lower.get("reason") or lower.get("state") or lower.get("status")
        if isinstance(reason, str) and reason in PULL_FAILURES:
            message = lower.get("message")
            found.append(PullFailure(reason, _shown(message) if isinstance(message, str) else ""))
    return _distinct(found)


def _distinct(failures: list[PullFailure]) -> list[PullFailure]:
    """Remove duplicates, and failures without a message if others have one."""
    with_message = list(dict.fromkeys(one for one in failures if one.message))
    return with_message or list(dict.fromkeys(failures))


def _objects(document: Any) -> Iterator[Mapping[Any, Any]]:
    rest, seen = [(document, 0)], 0
    while rest and seen < _MOST:
        value, depth = rest.pop()
        seen += 1
        if isinstance(value, dict):
            yield value
        if depth < _DEEPEST and isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            rest += [(one, depth + 1) for one in inner]


def _json(text: str) -> Any:
    """The JSON in an output, which a notice may precede; None if there is none."""
    from bootstrap.akka.output import json_in

    return json_in(text)[1]


def _name(row: Mapping[Any, Any]) -> str:
    metadata = row.get("metadata")
    for holder in (metadata, row):
        if isinstance(holder, dict) and isinstance(name := holder.get("name"), str):
            return _shown(name.rpartition("/")[2])
    return ""


def _image(spec: Any) -> str:
    if not isinstance(spec, dict):
        return ""
    containers = spec.get("containers")
    for holder in (spec, *(containers if isinstance(containers, list) else ())):
        if isinstance(holder, dict) and isinstance(image := holder.get("image"), str):
            return _shown(image.strip())
    return ""


def _status(row: Mapping[Any, Any]) -> str:
    status = row.get("status")
    if isinstance(status, dict):
        status = status.get("summary") or status.get("state") or status.get("status")
    return _shown(status) if isinstance(status, str) else ""


def _shown(text: str) -> str:
    from bootstrap.model.text import one_line

    return one_line(text, _LONGEST)
