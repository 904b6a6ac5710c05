"""Sessions of commands, and what they print and end with, in a form that is the same in every run:
`tests/test_command_output.py`.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.testing.harness.world import Result, World
from tests.harness.registries_file import CONTAINERS, TOOLS, TWO_TARGETS

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = "--akka-project shop"
_SERVER = "--server europe-west1-docker.pkg.dev/acme-shop/containers"
_ONE = f"{CONTAINERS} {SHOP} --yes"
_FILE = "-f registries.yaml --at-once 1"
_MARK = "@ "


@dataclass(frozen=True)
class Session:
    """Commands in one sandbox.

    Args:
        provider: of the sandbox's cloud.
        lines: each the arguments of `pullkey`; or `@ fault SPEC`, `@ well` (no fault any more), `@ remove
            TARGET` (marks it in the file), or `@ dies WHEN ARGUMENTS` (a run that is killed at a writing of
            its journal).
        json: whether each command prints JSON too.
    """

    provider: str
    lines: Sequence[str]
    json: bool = False


_SINGLE = (
    f"plan gcr {_SERVER} {SHOP}",
    "@ fault akka.docker.add-credentials=403",
    f"onboard gcr {_SERVER} {SHOP} --yes",
    f"onboard gcr {_SERVER} {SHOP} --yes",
    f"onboard gcr {_SERVER} {SHOP} --yes",
    f"verify {CONTAINERS} {SHOP}",
    f"verify gcr {_SERVER} {SHOP}",
    f"list {SHOP}",
    f"list {CONTAINERS} {SHOP}",
    f"rotate {CONTAINERS} {SHOP} --dry-run",
    f"rotate --all --due --yes {SHOP}",
    "@ fault akka.docker.add-credentials=403",
    f"rotate {_ONE}",
    f"rotate {_ONE} --keep-old 0",
    "@ fault iam.DisableServiceAccountKey=403*forever",
    f"rotate {_ONE}",
    f"list --check {SHOP}",
    "@ well",
    f"rotate --all --due --yes {SHOP}",
    f"rotate {CONTAINERS} {SHOP} --restore --yes",
    f"rotate nonesuch {SHOP} --yes",
    f"offboard {CONTAINERS} {SHOP} --dry-run",
    "@ fault akka.docker.remove-credentials=403",
    f"offboard {_ONE}",
    "@ fault iam.DeleteServiceAccount=403*forever",
    f"offboard {_ONE}",
    f"list {SHOP}",
    "@ well",
    f"offboard {_ONE}",
    f"offboard {_ONE}",
    f"offboard --all --yes {SHOP}",
)
_MANY = (
    f"plan {_FILE}",
    "@ fault akka.docker.add-credentials=403",
    f"apply {_FILE} --yes",
    f"apply {_FILE} --yes",
    f"apply {_FILE} --yes",
    f"list {_FILE}",
    f"rotate {_FILE} --due --yes",
    f"rotate {_FILE} --dry-run",
    "@ fault iam.DisableServiceAccountKey=403*forever",
    "@ fault akka.docker.add-credentials#2=403",
    f"rotate {_FILE} --yes",
    f"list {_FILE} --check",
    f"plan {_FILE} --check",
    "@ well",
    f"rotate {_FILE} --due --yes",
    f"rotate {_FILE} --yes --only {TOOLS}",
    f"offboard {_FILE} --all --dry-run",
    "@ fault akka.docker.remove-credentials=403",
    f"offboard {_FILE} --yes --only {TOOLS}",
    f"offboard {_FILE} --yes --only {TOOLS}",
    f"plan {_FILE} --check",
    "@ remove tools",
    f"apply {_FILE} --yes --summary",
    "@ fault iam.DeleteServiceAccount=403*forever",
    f"offboard {_FILE} --all --yes",
    f"list {_FILE}",
    "@ well",
    f"offboard {_FILE} --all --yes",
    f"offboard {_FILE} --all --yes",
)
SESSIONS = {
    "one": Session("gcr", _SINGLE),
    "one-json": Session("gcr", _SINGLE, json=True),
    "file": Session("gcr", _MANY),
    "file-json": Session("gcr", _MANY, json=True),
    "cut-off": Session(
        "gcr",
        (
            f"@ dies after 2 onboard gcr {_SERVER} {SHOP} --yes",
            f"plan gcr {_SERVER} {SHOP}",
            f"offboard {_ONE}",
            f"onboard gcr {_SERVER} {SHOP} --yes",
            f"@ dies after 6 rotate {_ONE}",
            f"verify {CONTAINERS} {SHOP}",
            f"list --check {SHOP}",
            f"rotate --all --due --yes {SHOP}",
            f"@ dies after 1 offboard {_ONE}",
            f"list --check {SHOP}",
            f"offboard {_ONE}",
            f"@ dies after 6 apply {_FILE} --yes --only {CONTAINERS}",
            f"plan {_FILE}",
            f"apply {_FILE} --yes",
            f"@ dies after 6 rotate {_FILE} --yes --only {CONTAINERS}",
            f"rotate {_FILE} --due --yes",
            f"@ dies after 1 offboard {_FILE} --yes --only {TOOLS}",
            f"offboard {_FILE} --all --yes",
        ),
    ),
    "azure": Session(
        "acr",
        (
            f"onboard acr --registry acmeshop {SHOP} --yes",
            f"rotate acmeshop-azurecr-io {SHOP} --yes",
            f"list acmeshop-azurecr-io {SHOP}",
            f"rotate acmeshop-azurecr-io {SHOP} --yes --output json",
            f"verify acmeshop-azurecr-io {SHOP} --output json",
            f"offboard acmeshop-azurecr-io {SHOP} --yes --output json",
        ),
    ),
}


def played(session: Session, world: World, folder: Path) -> str:
    """What a session prints, command by command."""
    file = folder / "registries.yaml"
    file.write_text(TWO_TARGETS)
    shown: list[str] = []
    for line in session.lines:
        shown.append(f"$ {line}")
        if line.startswith(_MARK):
            _do(line.removeprefix(_MARK), world, file)
            continue
        arguments = _arguments(line, file)
        if session.json and "--output" not in arguments:
            arguments += ["--output", "json"]
        done = world.run(*arguments)
        shown += [_of(done), ""]
    return _normalised("\n".join(shown), folder)


def _arguments(line: str, file: Path) -> list[str]:
    return [str(file) if word == file.name else word for word in shlex.split(line)]


def _do(what: str, world: World, file: Path) -> None:
    verb, _, rest = what.partition(" ")
    if verb == "fault":
        world.fault(rest)
    elif verb == "well":
        world.running.sandbox.faults.faults.clear()
    elif verb == "remove":
        file.write_text(file.read_text().replace(f"/{rest}}}", f"/{rest}, remove: true}}"))
    else:
        when, number, *arguments = _arguments(rest, file)
        done = subprocess.run(
            [sys.executable, "-m", "bootstrap.testing.harness.journal_crash", *arguments],
            env={**world.environment(), "PULLKEY_TEST_DIES": f"{when} {number}"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        world.said += [done.stdout, done.stderr]
        assert done.returncode == -signal.SIGKILL, done.stderr


def _of(done: Result) -> str:
    out = done.out
    if out.startswith("{"):
        document = json.loads(out)
        _without_seconds(document)
        out = json.dumps(document, indent=1)
    return "\n".join(part for part in (f"[{done.code}]", out.strip(), done.err.strip()) if part)


def _without_seconds(document: object) -> None:
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "seconds":
                document[key] = 0
            else:
                _without_seconds(value)
    elif isinstance(document, list):
        for one in document:
            _without_seconds(one)


def _normalised(text: str, folder: Path) -> str:
    """Without what differs from run to run: ids, times, places."""
    text = text.replace(str(folder), "FOLDER")
    names: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return names.setdefault(found.group(), f"ID{len(names) + 1}")

    # Grant and key are made side by side, and are done in either order.
    text = re.sub(
        r"(  (?:Created a JSON key|Added a client secret)[^\n]*\n)(  (?:Granted|Assigned) [^\n]*\n)",
        r"\2\1",
        text,
    )
    text = text.replace(", past old", "")
    text = re.sub(r"(?<=  )(past|now) +|(?<=\()(past|now)(?=\))", "AGE ", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?([+]00:00|Z)?", "TIME", text)
    text = re.sub(r"\b\d{4}-\d\d-\d\d\b", "DATE", text)
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8,64}\b", named, text)
    text = re.sub(r"\b\d+(\.\d+)? s\b", "N s", text)
    # It is shown only of what has taken its time.
    text = re.sub(r" \(N s\)$", "", text, flags=re.MULTILINE)
    return re.sub(r"(localhost|127\.0\.0\.1):\d+", r"\1:PORT", text) + "\n"
