"""How text fits a terminal: folded at spaces, commands continued by a backslash; in a pipe nothing is
folded.
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.output.terminal import fold, fold_command, marks_of, takes_unicode, wants_colour
from bootstrap.testing.harness.world import World, make_world
from tests.harness.registries_file import file_of

ROOT = Path(__file__).resolve().parent.parent
COMMAND = """gcloud artifacts repositories add-iam-policy-binding containers --location=europe-west1 --project=acme-shop --member="serviceAccount:akka-docker-reader@acme-shop.iam.gserviceaccount.com" --role=roles/artifactregistry.reader --condition=None"""  # noqa: E501


def test_nothing_breaks_inside_a_word() -> None:
    text = (
        "  note: the service account akka-docker-reader@acme-shop.iam.gserviceaccount.com has a key-like-name"
    )
    lines = fold(text, 40)
    assert " ".join(" ".join(lines).split()) == text.strip()
    assert all(len(line) <= 40 or len(line.split()) == 1 for line in lines)
    assert all(line.startswith("    ") for line in lines[1:] if len(line) < 36)
    assert fold(text, None) == [text]


@pytest.mark.parametrize(
    "command", [COMMAND, 'az ad app create --display-name \'akka  reader\' --x "$(cat "$F" | tr a b)"']
)
def test_a_folded_command_is_the_same_command(command: str) -> None:
    lines = fold_command(command, 60, indent="  ")
    assert len(lines) > 1
    assert shlex.split("\n".join(lines).replace("\\\n", " ")) == shlex.split(command)
    assert fold_command(command, None) == [command]


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def terminal(encoding: str = "utf-8") -> _Terminal:
    return _Terminal(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("environment", "unicode"),
    [
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # as Python itself sets it
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "C.UTF-8"}, True),
    ],
)
def test_signs_have_an_ascii_form(
    environment: dict[str, str], unicode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.setenv(name, environment.get(name, ""))
    assert takes_unicode(terminal()) is unicode
    assert marks_of(terminal()).done == ("✓" if unicode else "ok")
    assert not takes_unicode(terminal("latin-1"))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_switched_off(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(terminal())
    monkeypatch.setenv(name, value)
    assert not wants_colour(terminal())
    assert not wants_colour(io.StringIO())


_HOST = "europe-west1-docker.pkg.dev/acme-shop"
FILE = file_of(f"server: {_HOST}/containers", f"server: {_HOST}/nonesuch")


def test_many_targets_in_short(gcr: World, tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(FILE)
    planned = gcr.run("plan", "-f", str(file), "--summary").out
    assert "nonesuch" in planned
    assert "create   " not in planned
    done = gcr.run("apply", "-f", str(file), "--summary", "--yes")
    assert "[1/1]" not in done.err
    listed, short = (gcr.run("list", "-f", str(file), *more).out for more in ((), ("--summary",)))
    assert "acme-shop/containers" in listed
    assert "acme-shop/containers" not in short
    assert "nonesuch" in short
    alone = gcr.run("list").out
    assert "Akka project acme/shop" in alone
    assert [line.split() for line in alone.splitlines() if line.startswith("NAME")] == [
        line.split() for line in listed.splitlines() if line.startswith("NAME")
    ]


def test_what_is_not_due_is_one_line(gcr: World) -> None:
    gcr.onboard()
    done = gcr.run("rotate", "--all", "--due", "--yes")
    assert done.code == 0, done.text
    one, total = done.err.splitlines()
    assert "is not due" in one
    assert total == "1 credential: 1 not due."


# -- every command -------------------------------------------------------------------------------------------

NAME = "europe-west1-docker-pkg-dev-acme-shop-containers"
IMAGE = "europe-west1-docker.pkg.dev/acme-shop/containers/checkout:1.0"
OTHER = "europe-west1-docker.pkg.dev/acme-shop/tools"
TYPO = "europe-west1-docker.pkg.dev/acme-shop/containers/chekout:1.0"
WRONG_FILE = (
    "version: 1\ntargets:\n  - provider: gcr\n    servr: "
    "europe-west1-docker.pkg.dev/acme-shop/containers\n    rotate-after: soon\n"
)
WIDE = 500
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Ids and times, which differ from run to run.
_VARIES = re.compile(r"[0-9a-f]{8,}|[0-9]+")

LOOKING = (
    "",
    "help",
    "help onboard",
    "help onboard gcr",
    "help verify",
    "help list",
    "help rotate",
    "help offboard",
    "help import",
    "help doctor",
    "help providers",
    "providers",
    "help runbook",
    "help sandbox",
    "help explain",
    "help schema",
    "help completion",
    "help report",
    "plan -f {file} --help",
    "apply --help",
    "sandbox exec --help",
    "plan acr --help",
    "onboard private --help",
    "doctor gcr private",
    "doctor nonesuch",
    "doctor acr",
    "list",
    f"list {NAME}",
    "list nonesuch",
    "list -f {file}",
    "list -f {file} --summary",
    "list --check --expires-within 700d",
    f"plan {IMAGE}",
    f"plan gcr --server {OTHER}",
    f"plan {TYPO}",
    f"plan gcr --server {OTHER} --akka-project nonesuch",
    "plan acr --registry acmeshop --akka-project shop",
    "plan -f {file}",
    "plan -f {file} --summary",
    "plan -f {wrong}",
    "plan -f nonesuch.yaml",
    f"verify {NAME}",
    f"verify {IMAGE}",
    "verify --service checkout",
    "verify --service nonesuch",
    f"rotate {NAME} --dry-run",
    "rotate --all --due --yes",
    "rotate -f {file} --dry-run",
    "rotate",
    "rotate nonesuch --yes",
    f"offboard {NAME} --dry-run",
    "offboard -f {file} --dry-run",
    "offboard nonesuch --yes",
    "explain",
    "explain missing-permission",
    "explain PK-NONESUCH",
    "schema nonesuch",
    "report --html {page}",
    "report",
    "import nonesuch",
    "import shop --to {file}",
    "onboard --from-project --dry-run",
    "nonesuch",
    "onboard nonesuch",
    "onboard gcr --nonesuch",
    f"onboard {IMAGE} --expires-in 5000d",
    f"onboard {IMAGE} --expires-in soon",
    f"onboard {IMAGE} --yes --audit /nonesuch/audit.jsonl",
    "sandbox nonesuch",
    "sandbox exec --fault x -- true",
)
CHANGING = (
    f"onboard gcr --server {OTHER} --yes",
    "rotate europe-west1-docker-pkg-dev-acme-shop-tools --yes",
    "offboard europe-west1-docker-pkg-dev-acme-shop-tools --yes",
    "apply -f {file} --yes",
    "rotate -f {file} --yes",
    "offboard -f {file} --yes",
)


@pytest.fixture(scope="module")
def looked_at() -> Iterator[World]:
    """A world with one credential, which nothing that is run in it changes."""
    for world in make_world("gcr"):
        assert world.onboard("--server", "europe-west1-docker.pkg.dev/acme-shop/containers").code == 0
        world.forgiven.add("169.254.169.254")  # where `doctor` looks for the login of a virtual machine
        yield world


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, str]:
    for name, text in (("file.yaml", FILE), ("wrong.yaml", WRONG_FILE)):
        (tmp_path / name).write_text(text)
    return {
        "file": str(tmp_path / "file.yaml"),
        "wrong": str(tmp_path / "wrong.yaml"),
        "page": str(tmp_path / "page.html"),
    }


def shown(world: World, command: str, paths: dict[str, str], columns: int) -> list[str]:
    text = world.show(*command.format(**paths).split(), columns=columns)
    return [
        line.strip("━╺╸").rstrip() for part in _ESCAPES.sub("", text).split("\n") for line in part.split("\r")
    ]


def broken(lines: list[str], wide: list[str], columns: int) -> list[str]:
    """The lines that are too wide though they could be folded, and the words that are broken between two
    lines.
    """
    known = {_settled(word) for line in wide for word in line.split() if 2 < len(word) <= columns}
    too_wide = [line for line in lines if len(line) > columns and len(line.removesuffix(" \\").split()) > 1]
    ends = [line.split() for line in lines if line]
    joined = [
        f"{one[-1]}{next_one[0]}"
        for one, next_one in itertools.pairwise(ends)
        if not _VARIES.fullmatch(one[-1] + next_one[0])
    ]
    return [*too_wide, *(word for word in joined if _settled(word) in known)]


def _settled(word: str) -> str:
    return _VARIES.sub("0", word)


@pytest.mark.parametrize("command", LOOKING)
def test_each_command_fits_its_terminal(looked_at: World, paths: dict[str, str], command: str) -> None:
    wide = shown(looked_at, command, paths, WIDE)
    for columns in (80, 60):
        assert broken(shown(looked_at, command, paths, columns), wide, columns) == []


def test_each_change_fits_its_terminal(gcr: World, paths: dict[str, str]) -> None:
    # Twice: what an offboarding keeps, the next onboarding finds.
    rounds = [{command: shown(gcr, command, paths, WIDE) for command in CHANGING} for _ in range(2)]
    wide = {command: [line for one in rounds for line in one[command]] for command in CHANGING}
    for columns in (80, 60):
        for command in CHANGING:
            assert broken(shown(gcr, command, paths, columns), wide[command], columns) == [], command


def test_the_command_line_prints_in_one_place() -> None:
    """What is printed past `bootstrap.output.terminal` is not folded."""
    found = []
    for path in sorted((ROOT / "bootstrap" / "cli").glob("*.py")):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        ]
        found += [
            f"{path.name}:{one.lineno}"
            for one in calls
            if ast.unparse(one.func)
            in ("print", "click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write")
        ]
    assert found == []
