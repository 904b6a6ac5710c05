"""A plugin that cannot be used stops nothing but what is its own: it is skipped with one warning, and what is
named by it is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bootstrap.cli import cli
from bootstrap.cli.command_table import command_of
from bootstrap.model.codes import Code
from bootstrap.model.common_options import TAKEN
from bootstrap.model.errors import UsageProblem, begin_warnings
from bootstrap.plugin import entry_points
from bootstrap.plugin.routing import providers_for
from bootstrap.sandbox.run import sandbox_environment
from bootstrap.testing.harness.world import World, make_world
from tests.harness.plugins import RIVAL, environment, imported_from, install

BUILT_IN = entry_points.names()
PULLKEY_ACR = f"acr (pullkey {version('pullkey')})"
BROKEN = "The provider 'harp' of acme-harp 1.0 cannot be loaded: "
FIX = "Update or uninstall acme-harp; see: pullkey providers"
OPTIONS = (
    f"from bootstrap.model.option import Option\n{RIVAL}"
    "    options = tuple(Option(one, 'Its own.') for one in "
)
# What is wrong with a plugin, and what is said of it.
WAYS = {
    "import": ("import no_such_sdk", "", "ModuleNotFoundError: No module named 'no_such_sdk'"),
    "syntax": ("def", "", "SyntaxError: invalid syntax (harp_plugin.py, line 1)"),
    "exit": ("raise SystemExit(3)", "", "its module ends the process when it is imported"),
    "panic": ("class Panic(BaseException): ...\nraise Panic('at\\n once')", "", "Panic: at once"),
    "no module": (None, "", "its entry point harp_plugin:provider leads to no module harp_plugin"),
    "no object": (
        "x = 1",
        "",
        "its entry point harp_plugin:provider leads to nothing in the module harp_plugin",
    ),
    "malformed": ("", "harp plugin", "its entry point 'harp plugin' is not MODULE:OBJECT"),
    "module alone": ("", "harp_plugin", "its entry point 'harp_plugin' is not MODULE:OBJECT"),
    "class": (
        f"{RIVAL}provider = Rival",
        "",
        "its entry point harp_plugin:provider is a class, and must be an object of it",
    ),
    "members": (
        f"{RIVAL}    claims = checkup = None\nprovider = Rival()",
        "",
        "it lacks checkup and claims of bootstrap.plugin.provider.Provider",
    ),
    "kinds": (
        f"{RIVAL}    options = ('--project',)\n    claims = True\n    title = 1\nprovider = Rival()",
        "",
        "it has claims, title and options of another kind than bootstrap.plugin.provider.Provider",
    ),
    "name": (f"{RIVAL}provider = Rival()", "", "it calls itself 'rival'"),
    "option of all": (
        f"{OPTIONS}('--mine', '--image'))\nprovider = Rival()",
        "",
        "its option --image has the name of one that all providers have, or of another of its own",
    ),
    "option twice": (
        f"{OPTIONS}('--mine', '--mine'))\nprovider = Rival()",
        "",
        "its option --mine has the name of one that all providers have, or of another of its own",
    ),
    "option": (
        f"{OPTIONS}('--Mine', '-m'))\nprovider = Rival()",
        "",
        "the name of its option '--Mine' is not two dashes and lower-case words",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_wrong_with_it(way: str, tmp_path: Path) -> None:
    module, entry, says = WAYS[way]
    install(tmp_path, "harp", module, entry=entry)
    with imported_from(tmp_path):
        with pytest.raises(UsageProblem) as caught:
            entry_points.load("harp")
        others = [one.name for one in entry_points.loaded()]

    assert caught.value.what == f"{BROKEN}{says}"
    assert (caught.value.fix, caught.value.code) == (FIX, Code.PROVIDER_BROKEN)
    assert others == BUILT_IN


@pytest.mark.parametrize("name", ["Harp", "my harp", "-harp", "harp_1", "harp-"])
def test_a_name_that_is_not_a_word_of_a_command(name: str, tmp_path: Path) -> None:
    install(tmp_path, name, "", entry="rival_plugin:provider", distribution="acme-rival")
    with imported_from(tmp_path):
        (found,) = [one for known, one in entry_points.unusable().items() if known == name]

    assert found.what.endswith(
        f"its name {name!r} is not lower-case letters and digits, with single dashes between"
    )


@pytest.mark.parametrize("verb", ["onboard", "plan", "verify", "runbook"])
def test_no_option_of_the_commands_is_left_to_providers(verb: str) -> None:
    group = command_of(verb)
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), "private")
    assert command is not None
    own = {option.name for option in entry_points.load("private").options}

    assert {name for one in command.params for name in one.opts} - own <= TAKEN


def test_a_module_that_fails_is_executed_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    install(tmp_path, "harp", f"open({str(log)!r}, 'a').write('x')\nraise ValueError")
    with imported_from(tmp_path):
        for _ in range(3):
            entry_points.loaded()

    assert log.read_text() == "x"


def test_an_object_without_any_member_lacks_all(tmp_path: Path) -> None:
    install(tmp_path, "harp", "provider = object()")
    with imported_from(tmp_path), pytest.raises(UsageProblem) as caught:
        entry_points.load("harp")

    for name in ("name", "options", "locate", "login_variables", "target", "emulator"):
        assert f" {name}" in caught.value.what


# -- commands ------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Path]:
    install(tmp_path, "harp", "import no_such_sdk")
    with imported_from(tmp_path):
        yield tmp_path


@pytest.fixture
def warnings() -> list[str]:
    found: list[str] = []
    begin_warnings(found.append)
    return found


WARNING = f"{BROKEN}ModuleNotFoundError: No module named 'no_such_sdk'. It is skipped. {FIX}"


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    "command",
    [("onboard", "--help"), ("verify", "--help"), ("schema", "registries"), ("plan", "acr", "--help")],
    ids=" ".join,
)
def test_commands_that_need_it_not(command: tuple[str, ...], warnings: list[str]) -> None:
    done = CliRunner().invoke(cli, command)

    assert done.exit_code == 0, done.output
    assert warnings == ([] if "acr" in command else [WARNING])
    assert "harp" not in done.output


@pytest.mark.usefixtures("broken")
def test_completion_offers_the_others(warnings: list[str]) -> None:
    context = click.Context(command_of("onboard"))
    offered = [one.value for one in context.command.shell_complete(context, "")]

    assert {"acr", "gcr"} <= {*offered}
    assert "harp" not in offered


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("verb", ["onboard", "plan", "runbook"])
def test_it_is_refused_by_its_name(verb: str) -> None:
    done = CliRunner().invoke(cli, [verb, "harp", "--image", "harp.example.com/a/b:1"])

    assert isinstance(done.exception, UsageProblem)
    assert done.exception.what.startswith(BROKEN)


@pytest.mark.usefixtures("broken")
def test_an_image_goes_to_those_that_can_be_used(warnings: list[str]) -> None:
    assert [one.name for one in providers_for("acmeshop.azurecr.io")] == ["acr"]
    assert [one.name for one in providers_for("registry.example.com")] == ["private"]
    assert warnings == [WARNING]


def test_a_provider_that_fails_to_answer_is_skipped(tmp_path: Path, warnings: list[str]) -> None:
    install(tmp_path, "rival", f"{RIVAL}    def claims(self, host): return 1 / 0\nprovider = Rival()")
    with imported_from(tmp_path):
        assert [one.name for one in providers_for("acmeshop.azurecr.io")] == ["acr"]

    (warning,) = warnings
    assert warning.startswith("The provider 'rival' of acme-rival 1.0 cannot be loaded: its claims fails")


def test_of_one_that_fails_to_answer_for_an_image_it_is_not_known(
    tmp_path: Path, warnings: list[str]
) -> None:
    install(
        tmp_path, "rival", f"{RIVAL}    def covers(self, target, image): return 1 / 0\nprovider = Rival()"
    )
    with imported_from(tmp_path):
        rival = entry_points.load("rival")
        assert entry_points.covers(rival, None, "acmeshop.azurecr.io/checkout:1.0") is None

    (warning,) = warnings
    assert "'rival' of acme-rival 1.0" in warning
    assert "its covers fails (ZeroDivisionError)" in warning


# -- two that are in each other's way ------------------------------------------------------------------------


def test_two_of_one_name(tmp_path: Path, warnings: list[str]) -> None:
    install(tmp_path, "gcr", f"{RIVAL}provider = Rival()", distribution="rival-gcr")
    with imported_from(tmp_path):
        done = CliRunner().invoke(cli, ["onboard", "gcr"])
        others = [one.name for one in entry_points.loaded()]

    says = f"There are 2 providers of the name 'gcr', of rival-gcr 1.0 and pullkey {version('pullkey')}"
    assert isinstance(done.exception, UsageProblem)
    assert (done.exception.what, done.exception.code) == (says, Code.PROVIDER_BROKEN)
    assert others == [one for one in BUILT_IN if one != "gcr"]
    assert [one.startswith(f"{says}. It is skipped.") for one in warnings] == [True]


@pytest.mark.parametrize("verb", ["onboard", "plan"])
def test_two_that_claim_one_host(verb: str, tmp_path: Path) -> None:
    install(tmp_path, "rival", f"{RIVAL}provider = Rival()")
    with imported_from(tmp_path):
        done = CliRunner().invoke(cli, [verb, "acmeshop.azurecr.io/checkout:1.0"])

    assert isinstance(done.exception, UsageProblem)
    assert (done.exception.what, done.exception.code) == (
        f"2 providers claim acmeshop.azurecr.io: {PULLKEY_ACR} and rival (acme-rival 1.0)",
        Code.HOST_AMBIGUOUS,
    )


# -- records of Akka's, and files ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gcr() -> Iterator[World]:
    yield from make_world("gcr")


@pytest.fixture
def other(gcr: World, tmp_path: Path) -> dict[str, str]:
    """A project with a credential of Google's and one of a provider that cannot be loaded."""
    gcr.anew = True
    install(tmp_path, "harp", "import no_such_sdk")
    if not gcr.names():
        assert gcr.onboard().code == 0
        held = gcr.held(gcr.names()[0])
        theirs = type(held)(
            **{
                **vars(held),
                "server": "https://harp.example.com/v1/",
                "username": "robot$akka",
                "email": "akka+robot-17@harp.example.com",
            }
        )
        gcr.akka.projects["shop"].put_credential("pull-from-harp", theirs, gcr.running.sandbox.now())
    return environment(tmp_path, gcr)


UNKNOWN = "No provider knows Akka's pull-from-harp, key robot-17 of https://harp.example.com/v1/"


def test_list_shows_the_others(gcr: World, other: dict[str, str]) -> None:
    done = gcr.run("list", "--output", "json", env=other)

    assert done.code == 0, done.text
    shown = {one["name"]: one for one in done.json["credentials"]}
    theirs = shown.pop("pull-from-harp")
    assert (theirs["provider"], theirs["not_seen"]) == ("unknown", [UNKNOWN])
    ((_, ours),) = shown.items()
    assert (ours["provider"], ours["status"]) == ("gcr", "OK")
    assert done.err.count("harp") == WARNING.count("harp")


@pytest.mark.parametrize("command", [("rotate",), ("offboard",), ("verify",)], ids=" ".join)
def test_its_record_is_refused_and_nothing_is_changed(
    gcr: World, other: dict[str, str], command: tuple[str, ...]
) -> None:
    before = gcr.changes()
    more = () if command == ("verify",) else ("--yes",)
    done = gcr.run(*command, "pull-from-harp", *more, env=other)

    assert done.code == 2, done.text
    assert f"pullkey: {UNKNOWN} [PK-HOST-UNKNOWN]" in done.err
    assert "It may be of one that cannot be used: The provider 'harp' of acme-harp 1.0" in done.err
    assert gcr.changes() == before
    assert "pull-from-harp" in gcr.names()


def test_another_credential_is_rotated(gcr: World, other: dict[str, str]) -> None:
    (name,) = {*gcr.names()} - {"pull-from-harp"}
    before = gcr.held(name).email
    done = gcr.run("rotate", name, "--yes", "--keep-old", "0", env=other)

    assert done.code == 0, done.text
    assert gcr.held(name).email != before


@pytest.mark.parametrize("named", [(), ("gcr",), ("harp",)], ids=["all", "gcr", "harp"])
def test_doctor_looks_at_the_others(gcr: World, other: dict[str, str], named: tuple[str, ...]) -> None:
    # Where the other providers, which this sandbox does not have, look for a login.
    gcr.forgiven |= {"169.254.169.254", "login.microsoftonline.com", "hub.docker.com", "registry-1.docker.io"}
    gcr.forgiven |= {"gitlab.com", "registry.gitlab.com"}
    done = gcr.run("doctor", *named, "--output", "json", env=other)

    checks = [(one["about"], one["good"], one["detail"]) for one in done.json["checks"]]
    assert named == ("harp",) or sum(about == "gcr" for about, _, _ in checks) > 1
    theirs = [(good, detail) for about, good, detail in checks if about == "harp"]
    assert len(theirs) == (named != ("gcr",))
    for good, detail in theirs:
        assert detail.startswith(BROKEN)
        assert good is False, "Akka has a credential that may be its"


FILE = """\
version: 1
defaults:
  harp:
    a-field: of its own
targets:
  - provider: harp
    server: harp.example.com
    a-field: of its own
    akka-project: shop
  - provider: gcr
    server: europe-west1-docker.pkg.dev/acme-shop/containers
    akka-project: shop
"""


def test_the_other_targets_of_a_file_are_applied(gcr: World, other: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(FILE)
    done = gcr.run("apply", "-f", str(file), "--yes", "--output", "json", env=other)

    assert done.code == 4, done.text
    theirs, ours = done.json["targets"]
    assert (ours["result"], theirs["result"]) == ("unchanged", "refused")
    assert theirs["problems"][0]["what"].startswith(BROKEN)
    for command in (["plan"], ["list"], ["runbook"]):
        assert gcr.run(*command, "-f", str(file), env=other).code in (0, 3, 4), command


@pytest.mark.usefixtures("broken")
def test_a_file_with_its_targets_cannot_be_validated(tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text(FILE)
    done = CliRunner().invoke(cli, ["validate", str(file), "--output", "json"], standalone_mode=False)

    assert done.return_value == 2
    assert BROKEN in done.output
    file.write_text(FILE.partition("defaults:")[0] + "targets:\n" + FILE.partition("project: shop\n")[2])
    assert CliRunner().invoke(cli, ["validate", str(file)], standalone_mode=False).return_value == 0


def test_two_that_recognise_one_record(gcr: World, tmp_path: Path) -> None:
    gcr.anew = True
    install(tmp_path, "rival", f"{RIVAL}    def recognises(self, held): return True\nprovider = Rival()")
    names = gcr.names() or [gcr.onboard().text and gcr.names()[0]]
    done = gcr.run("offboard", names[0], "--yes", env=environment(tmp_path, gcr))

    assert done.code == 2, done.text
    assert f"2 providers claim Akka's {names[0]}" in done.err
    assert "gcr (pullkey" in done.err
    assert "rival (acme-rival 1.0)" in done.err
    assert names[0] in gcr.names()


# -- the sandbox ---------------------------------------------------------------------------------------------


def test_the_sandbox_passes_on_no_login_of_a_plugin(tmp_path: Path) -> None:
    install(tmp_path, "rival", f"{RIVAL}    login_variables = ('RIVAL_', 'ACME_TOKEN')\nprovider = Rival()")
    own = {"RIVAL_TOKEN": "x", "ACME_TOKEN": "x", "ACME_TOKENS": "kept", "AZURE_TENANT_ID": "x", "HOME": "/"}
    with imported_from(tmp_path):
        passed = sandbox_environment(own, {})

    assert {*own} & {*passed} == {"ACME_TOKENS", "HOME"}
