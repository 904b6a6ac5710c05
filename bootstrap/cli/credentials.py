"""The commands that take the name of an Akka secret: `list`, `rotate`, `offboard`, and `verify NAME`.

What stands behind a name (provider, project, registry, identity, key) is read from Akka's own record and from the clouds.
"""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from bootstrap.audit import Change
from bootstrap.cli.audit import audited
from bootstrap.cli.heartbeat import saying_that_it_looks
from bootstrap.cli.json_output import print_document
from bootstrap.cli.options import (
    ALL_PROJECTS,
    EXPIRES_WITHIN,
    IMAGE,
    OUTPUT,
    TIMEOUT,
    VERBOSE,
    YES,
    clean,
    offers,
    retyped,
    scope_of,
    with_options,
)
from bootstrap.cli.secrets import asker, read_stdin, run_alone
from bootstrap.codes import Code
from bootstrap.errors import (
    ExitCode,
    Interrupted,
    LeftOver,
    PullkeyError,
    Refused,
    UsageProblem,
    advice,
    exit_code_of_many,
    first_line,
)
from bootstrap.options import AUDIT, KEEP_OLD, OVERLAP, SCOPE
from bootstrap.provider import Option
from bootstrap.terminal import say, width_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bootstrap.akka import AkkaCli
    from bootstrap.akka_scope import AkkaScope
    from bootstrap.assembly import Assembly, OpenedTarget
    from bootstrap.behind import Behind
    from bootstrap.link import KeyLink
    from bootstrap.provider import HeldCredential, KeyFacts, RunContext, Session, Target
    from bootstrap.reference import ImageReference
    from bootstrap.reporter import Reporter
    from bootstrap.result import Result
    from bootstrap.secret import Secret
    from bootstrap.standing import Standing
    from bootstrap.target_operation import TargetOperation

_AT_ONCE = 8
_ALL = Option("--all", "All that pullkey created in the project.", kind="switch")
_DRY_RUN = Option("--dry-run", "Preview the changes; change nothing.", kind="switch")
_SECRET = Option("--secret-stdin", "Read from stdin what a new key needs: the Docker Hub login, or the new password.", kind="secret")  # fmt: skip
_OFFBOARD_IMAGE = Option("--image", "An image of the registry, where it is not clear which repository is meant.", metavar="IMAGE")  # fmt: skip
_OFFBOARD_SECRET = Option("--secret-stdin", "Read from stdin the Docker Hub login with which its token is deleted.", kind="secret")  # fmt: skip


@dataclass
class _Command:
    """What one command has open."""

    scope: AkkaScope
    context: RunContext
    akka: AkkaCli
    reporter: Reporter
    assembly: Assembly
    verbose: bool
    errors: list[tuple[str, PullkeyError]] = field(default_factory=list)
    """The credentials, of several, that could not even be begun with."""
    interrupted: bool = False
    """Whether a signal ended the work on the latest credential; declining a question does not."""
    results: list[str] = field(default_factory=list)
    """What became of each credential of a rotation, in a word or two."""

    def record(self, behind: Behind, who: str = "") -> None:
        """What is changed for this credential from now on goes into the trail, if there is one."""
        if behind.context is not None:
            label = behind.target.label if behind.target is not None else behind.held.server
            self.assembly.record(
                behind.context, behind.provider.name, label, self.scope, behind.held.name, who
            )

    def opened(self, known: _Known) -> OpenedTarget:
        from bootstrap.assembly import OpenedTarget

        return OpenedTarget(known.target, known.session, known.context, self.akka, self.scope, self.reporter)


@asynccontextmanager
async def opened(values: Mapping[str, Any]) -> AsyncIterator[_Command]:
    """Akka is there, is logged in and sees the project; whatever is opened meanwhile is closed in the end.

    Raises:
        Refused: Akka cannot be asked.
    """
    from bootstrap.akka import AkkaCli
    from bootstrap.assembly import Assembly
    from bootstrap.display import make_reporter
    from bootstrap.provider import RunContext
    from bootstrap.settings import check_addresses, state_directory
    from bootstrap.waiting import Deadline

    check_addresses("")
    reporter = make_reporter(
        sys.stderr,
        verbose=values["verbose"],
        plan=not values.get("yes") or values["dry_run"],
        checks="yes" not in values,
        brief=bool(values.get("due")),
    )
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace)
    scope = scope_of(values)
    akka = AkkaCli(scope, deadline, reporter.trace)
    try:
        problems = await akka.preflight(of_project=not values.get("all_projects"))
        if problems:
            reporter.problems(problems)
            raise Refused(problems)
        command = _Command(
            await akka.scope_by_name(),
            context,
            akka,
            reporter,
            Assembly(state_directory()),
            values["verbose"],
        )
        async with audited(values, akka) as command.assembly.trail:
            yield command
    except UsageProblem as problem:
        if problem.code is Code.CREDENTIAL_NOT_FOUND:
            problem.fix = await _of_a_service(akka, values) or problem.fix
        raise
    finally:
        reporter.close()
        await context.shared.close()


async def _of_a_service(akka: AkkaCli, values: Mapping[str, Any]) -> str:
    """How to come from a service to its credential, where a name that is no credential's is that of a service."""
    names = {*(values.get("names") or ()), values.get("name")}
    try:
        found = [one.name for one in await akka.exported_services() if one.name in names]
    except PullkeyError:
        return ""
    return f"{found[0]} is a service. To find its credential: pullkey verify --service {shlex.quote(found[0])}" if found else ""  # fmt: skip


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    return {key: clean(key, value) for key, value in values.items()}


# -- list ----------------------------------------------------------------------------------------------------------


@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=offers("credentials"))
@with_options(
    Option("--check", "For jobs: exit 5 if anything is wrong or could not be read.", kind="switch"),
    ALL_PROJECTS,
    EXPIRES_WITHIN,
    Option("--secret-stdin", "Read the Docker Hub login from stdin, without which its tokens cannot be seen.", kind="secret"),
    *SCOPE, TIMEOUT, OUTPUT, VERBOSE,
)  # fmt: skip
def list_credentials(**values: Any) -> int:
    """List Akka's registry credentials with the age, expiry and state of their keys; change nothing.

    With one NAME, it shows every detail. Without permissions on a cloud it shows what it can, and lists what it could
    not read.

    \b
    Examples:
      pullkey list
      pullkey list europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey list --check --expires-within 30d
      pullkey list --all-projects
      pullkey list -f registries.yaml          (see: pullkey list -f FILE --help)
    """
    values = _cleaned(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    if values["all_projects"]:
        from bootstrap.cli.all_projects import list_all_projects

        return run_alone(list_all_projects(values, secret))
    return run_alone(_list(values, secret))


@dataclass(frozen=True)
class Listing:
    """How the credentials of a project stand.

    Args:
        left_over: what earlier runs have left over of credentials that Akka does not list any more.
    """

    scope: AkkaScope
    standings: Sequence[Standing]
    left_over: Sequence[LeftOver]

    def exit_code(self, *, check: bool) -> ExitCode:
        from bootstrap.standing import exit_code_of_all

        return ExitCode.LEFT_OVER if self.left_over else exit_code_of_all(self.standings, check=check)


async def listing(values: Mapping[str, Any], secret: Secret | None) -> Listing:
    """How the credentials of a project stand, or those that are named.

    Raises:
        Refused: Akka cannot be asked.
        UsageProblem: it has none of a name.
    """
    from bootstrap.behind import known_names

    async with opened(values) as command:
        if secret is not None:
            command.context.ask_secret = asker(secret)
        held = await command.akka.credentials_with(values["names"])
        gone = left_over_of_gone(command.scope, [one.name for one in held])
        for name in values["names"]:
            if name not in [*gone, *(one.name for one in held)]:
                raise UsageProblem(f"Akka has no credential named {name!r} in {command.scope.label}", fix=known_names(held, name), code=Code.CREDENTIAL_NOT_FOUND)  # fmt: skip
        chosen = [one for one in held if not values["names"] or one.name in values["names"]]
        left = [left for name, items in gone.items() if name in (values["names"] or gone) for left in items]
        with saying_that_it_looks():
            standings = await standings_of(command, chosen, values["expires_within"])
        return Listing(command.scope, standings, left)


def left_over_of_gone(scope: AkkaScope, listed: Sequence[str]) -> Mapping[str, Sequence[LeftOver]]:
    """What earlier runs on this machine have left over of credentials of a project that Akka does not list, by name."""
    from bootstrap.errors import PullkeyError
    from bootstrap.journal import Journal
    from bootstrap.settings import state_directory

    found = {}
    for record in Journal.all_left_behind(state_directory()):
        if isinstance(record, PullkeyError) or not record.left_over:
            continue
        name = scope.secret_at(record.place)
        if name and name not in listed:
            found[name] = record.left_over
    return found


async def _list(values: Mapping[str, Any], secret: Secret | None) -> int:
    from bootstrap.documents import list_document

    found = await listing(values, secret)
    code = found.exit_code(check=values["check"])
    if values["output"] == "json":
        print_document(list_document(found.standings, found.left_over, scope=found.scope, code=code))
    else:
        _show(found.standings, values["names"], found.scope)
        for left in found.left_over:
            say(str(left), sys.stdout)
    return code


async def standings_of(command: _Command, chosen: Sequence[HeldCredential], within: Any) -> list[Standing]:
    """Each looked at, some side by side; one that fails stops no other."""
    import asyncio

    from bootstrap.behind import find
    from bootstrap.standing import stand

    room = asyncio.Semaphore(_AT_ONCE)

    async def look(held: HeldCredential) -> Any:
        journal = command.assembly.journal(command.scope, held.name)
        async with room:
            return await stand(lambda: find(held, command.context), command.assembly.proofs, journal, expires_within=within)  # fmt: skip

    return list(await asyncio.gather(*map(look, sorted(chosen, key=lambda one: one.name))))


def style_of_list() -> Callable[[str, str], str]:
    """Gives a line of a list the colour of its state, where stdout shows colours."""
    from bootstrap.terminal import wants_colour

    colours = {"head": {"bold": True}, "ok": {"fg": "green"}, "wrong": {"fg": "red", "bold": True}, "unseen": {"fg": "yellow"}}  # fmt: skip
    coloured = wants_colour(sys.stdout)

    def style(text: str, state: str) -> str:
        return click.style(text, **colours.get(state, {"dim": True})) if coloured else text  # type: ignore[arg-type]

    return style


def _show(standings: Sequence[Any], names: Sequence[str], scope: AkkaScope) -> None:
    from bootstrap.table import HANGING, as_page, as_table, row_of, total, unseen_lines

    if not standings:
        say(f"Akka has no registry credentials in {scope.label}.", sys.stdout)
        return
    say(scope.described, sys.stdout)
    style = style_of_list()
    if len(names) == 1:
        for line in as_page(standings[0], style=style):
            say(line, sys.stdout, further=HANGING)
        return
    width = width_of(sys.stdout)
    table = as_table([row_of(one) for one in standings], width=width, style=style)
    say("\n".join([*table, *unseen_lines(standings, width), total(standings)]), sys.stdout)


# -- verify --------------------------------------------------------------------------------------------------------


async def verify_named(values: Mapping[str, Any]) -> int:
    """`pullkey verify NAME`, or by an image."""
    from bootstrap.behind import is_for, named

    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    async with opened(values) as command:
        if values["name"]:
            credentials = await command.akka.credentials_with([values["name"]])
            held = named(credentials, values["name"], command.scope.label)
        else:
            host = image_reference(values["image"]).registry
            credentials = await command.akka.credentials_with_any(lambda one: is_for(one, host))
            held = await credential_for_image(credentials, values["image"], command)
        code, document = await verify_held(command, held, values["image"], password)
        if values["output"] == "json":
            print_document(document)
    return code


async def verify_held(
    command: _Command, held: HeldCredential, image: str | None, password: Secret | None
) -> tuple[int, Mapping[str, Any]]:
    """Verify one credential, and show how that ended; the exit code, and the JSON object.

    Raises:
        PullkeyError: it was not created by pullkey, or what it is of cannot be found.
    """
    from bootstrap.behind import find
    from bootstrap.documents import run_document
    from bootstrap.report import tell_end
    from bootstrap.run_options import RunOptions

    behind = await find(held, command.context, image=image)
    known = _known(behind)
    verification = command.assembly.verification(
        command.opened(known),
        RunOptions(secret_name=held.name, dry_run=True, command=retyped()),
        password=password,
        reopen=lambda: behind.provider.open(known.target, known.context),
        akka_checked=True,
    )
    with saying_that_it_looks():
        outcome = await verification.execute()
    command.reporter.close()
    document = run_document(verification, command="verify", provider=behind.provider.name)
    repair = _repair(behind, known.target, command, image)
    tell_end(
        outcome, run=verification, show_commands=False, handover=None, verbose=command.verbose, repair=repair
    )
    return outcome.exit_code, document


def image_reference(image: str) -> ImageReference:
    """An image as a puller reads it: a name without a host is on Docker Hub."""
    from bootstrap.reference import parse_reference
    from bootstrap.routing import host_of_image

    return parse_reference(image if host_of_image(image) else f"docker.io/{image}", where="--image")


def _repair(behind: Behind, target: Target, command: _Command, image: str | None) -> str:
    """The command that creates again what is missing of a credential of ours."""
    held, scope = behind.held, command.akka.scope
    options: dict[str, str | bool | None] = {**behind.provider.options_of(held, target), "image": image}
    options |= {f"akka-{name}": getattr(scope, name) for name in ("project", "owner", "region", "context")}
    options["secret-name"] = held.name if held.name != target.secret_name else None
    words = ["pullkey", "onboard", behind.provider.name]
    for name, value in options.items():
        if value:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return shlex.join(words)


async def credential_for_image(
    credentials: Sequence[HeldCredential], image: str, command: _Command
) -> HeldCredential:
    """The one credential that pulls an image: of its registry, and where several are, of its repository.

    Raises:
        UsageProblem: there is none, or more than one may be meant.
    """
    from bootstrap.behind import find, is_for

    named = image_reference(image)
    same = [one for one in credentials if is_for(one, named.registry)]
    if not same:
        raise UsageProblem(f"Akka has no credential for {named.registry} in {command.scope.label}", fix=f"`pullkey onboard {shlex.quote(image)}` registers one", code=Code.CREDENTIAL_NOT_FOUND)  # fmt: skip
    if len(same) > 1:
        found = [await find(one, command.context) for one in same]
        labels = {one.held.name: one.target.label for one in found if one.target is not None}
        fitting = [one for one in same if f"{named}".startswith(f"{labels.get(one.name, ' ')}/")]
        covering = [one.held for one in found if one.target is not None and one.provider.covers(one.target, image)]  # fmt: skip
        same = fitting or covering or same
    if len(same) > 1:
        names = ", ".join(sorted(one.name for one in same))
        raise UsageProblem(f"More than one credential may be for {named}: {names}", fix="Name one: pullkey verify NAME", code=Code.CREDENTIAL_AMBIGUOUS)  # fmt: skip
    return same[0]


@dataclass(frozen=True)
class _Known:
    """What stands behind a credential of ours, all of it found."""

    target: Target
    session: Session
    context: RunContext
    link: KeyLink


def _known(behind: Behind) -> _Known:
    """What is to be worked with must be ours, and be found.

    Raises:
        PullkeyError: it is not.
    """
    name, link = behind.held.name, behind.held.link
    if link is None:
        raise PullkeyError(f"Akka's {name} was not created by pullkey, so its cloud resources are not known", fix=f"To have pullkey look after it: pullkey onboard {behind.provider.name} ... --secret-name {shlex.quote(name)} --replace", code=Code.CREDENTIAL_NOT_MANAGED)  # fmt: skip
    if behind.target is None or behind.session is None or behind.context is None:
        raise behind.error or PullkeyError(
            f"The cloud resources of Akka's {name} could not be found", code=Code.CREDENTIAL_UNREADABLE
        )
    return _Known(behind.target, behind.session, behind.context, link)


# -- rotate --------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("name", required=False, shell_complete=offers("credentials"))
@with_options(
    _ALL,
    Option("--due", "Only if a third of the key's life is left; for a key without expiry, once it is 90 days old.", kind="switch"),
    Option("--older-than", "With --due: once the key is this old, instead.", kind="duration", metavar="TIME"),
    KEEP_OLD,
    OVERLAP,
    Option("--restore", "Enable the key again that the last rotation disabled.", kind="switch"),
    IMAGE, _SECRET, AUDIT, _DRY_RUN, YES, *SCOPE, TIMEOUT, OUTPUT, VERBOSE,
)  # fmt: skip
def rotate(**values: Any) -> int:
    """Replace the key of a credential: create a new key, verify it, register it in Akka, read it back in every region.

    Only then is the old key disabled or deleted. Akka never holds a key that cannot pull, and other keys are not
    touched.

    \b
    Examples:
      pullkey rotate europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey rotate --all --due --yes          (what a nightly job runs)
      pullkey rotate acmeshop-azurecr-io --keep-old 0
      pullkey rotate NAME --restore
      pullkey rotate -f registries.yaml --due  (see: pullkey rotate -f FILE --help)
    """
    values = _cleaned(values)
    _one_or_all(values)
    if values["older_than"] is not None:
        values["due"] = True
    if values["restore"] and (values["all"] or values["due"]):
        raise UsageProblem("--restore takes back one rotation: name the credential", code=Code.MISSING_VALUE)
    if not values["restore"]:
        _needs_terminal_or_yes(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    if secret is not None and values["all"]:
        raise UsageProblem("--secret-stdin is for one credential: name it", code=Code.MISSING_VALUE)
    return run_alone(_rotate(values, secret))


def _one_or_all(values: Mapping[str, Any]) -> None:
    if values["all"] == bool(values["name"]):
        raise UsageProblem(
            "Name one of Akka's credentials, or pass --all",
            fix="See `pullkey list`.",
            code=Code.MISSING_VALUE,
        )


def _needs_terminal_or_yes(values: Mapping[str, Any]) -> None:
    if not (values["yes"] or values["dry_run"]):
        from bootstrap.cli.choices import check_can_ask

        check_can_ask(stdin_taken=values["secret_stdin"])


async def _rotate(values: Mapping[str, Any], secret: Secret | None) -> int:
    from bootstrap.documents import results_document

    documents: list[Mapping[str, Any]] = []

    async def one(command: _Command, held: HeldCredential) -> int:
        return await _rotate_one(command, held, values, secret, documents)

    async with opened(values) as command:
        code = await _each(command, values, one)
    if values["output"] == "json":
        print_document(results_document("rotate", documents, code, errors=command.errors))
    return code


async def _each(
    command: _Command, values: Mapping[str, Any], work: Callable[[_Command, HeldCredential], Awaitable[int]]
) -> int:
    """The one that was named, or all of ours, one after another; one that fails stops no other."""
    import asyncio

    from bootstrap.behind import named
    from bootstrap.plugin.recorded_key import SECRETLESS

    credentials = await command.akka.credentials_with([values["name"]] if values["name"] else [])
    if values["name"]:
        return await work(command, named(credentials, values["name"], command.scope.label))
    chosen = sorted((one for one in credentials if one.link is not None), key=lambda one: one.name)
    others = len(credentials) - len(chosen)
    if others:
        command.reporter.notice(
            f"{others} of Akka's credentials were not created by pullkey and are left alone."
        )
    if not chosen:
        command.reporter.notice(f"Akka has no credential created by pullkey in {command.scope.label}.")
    codes: list[int] = []
    for number, held in enumerate(chosen):
        command.interrupted = False
        try:
            codes.append(await work(command, held))
        except asyncio.CancelledError:
            raise Interrupted("Interrupted", fix=_how_far(number, len(chosen))) from None
        except PullkeyError as error:
            command.interrupted = isinstance(error, Interrupted)
            command.errors.append((held.name, error))
            codes.append(_tell(held.name, error))
        if command.interrupted:
            say(f"pullkey: {_how_far(number, len(chosen))}", sys.stderr)
            break
    for held in credentials:
        if held.empty:
            say(f"pullkey: {held.name}: {SECRETLESS}. Onboard its registry again.", sys.stderr)
            codes.append(ExitCode.DRIFT)
    failed = [code for code in codes if code not in (ExitCode.DONE, ExitCode.LEFT_OVER, ExitCode.DRIFT)]
    if len(chosen) > 1 and failed:
        say(f"pullkey: {len(failed)} of {len(chosen)} credentials failed; see above.", sys.stderr)
    elif command.results:
        counts = Counter(command.results)
        words = ", ".join(f"{count} {word}" for word, count in counts.items())
        say(f"{len(chosen)} credential{'s' * (len(chosen) != 1)}: {words}.", sys.stderr)
    return exit_code_of_many([ExitCode(code) for code in codes])


def _asking(command: _Command, verb: str, held: HeldCredential, secret: Secret | None) -> RunContext:
    """The command's context, for a credential that may need a secret."""
    instead = f"pullkey {verb} {shlex.quote(held.name)} --secret-stdin --yes < FILE"
    return replace(command.context, ask_secret=asker(secret, instead=instead))


def _how_far(done: int, count: int) -> str:
    return (
        f"{done} of {count} credentials were done before the interruption."
        if done
        else "No credential was done before the interruption."
    )


def _tell(name: str, error: PullkeyError) -> int:
    say(f"pullkey: {name}: {first_line(error)}", sys.stderr)
    if fix := advice(error):
        say(f"  {fix}", sys.stderr)
    return error.exit_code


async def _rotate_one(
    command: _Command,
    held: HeldCredential,
    values: Mapping[str, Any],
    secret: Secret | None,
    documents: list[Mapping[str, Any]],
) -> int:
    from bootstrap.behind import find
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.documents import run_document
    from bootstrap.report import tell_end
    from bootstrap.retirement import restore
    from bootstrap.run_options import RunOptions
    from bootstrap.standing import due

    asking = command.context if values["dry_run"] else _asking(command, "rotate", held, secret)
    behind = await find(held, asking, image=values["image"])
    known = _known(behind)
    command.record(behind)
    target, session, context, link = known.target, known.session, known.context, known.link
    if values["restore"]:
        with command.assembly.journal(command.scope, held.name, target.identity).locked():
            command.record(behind, await session.connect())
            told = await restore(session, link)
            context.audit(Change("restore", told, "done", link.replaces))
            say(told, sys.stderr)
        return ExitCode.DONE
    context.new_key = True
    why, key = "", None
    if values["due"]:
        await session.connect()
        key = await session.key.facts(link.key_id)
        why = due(key, values["older_than"]) if key is not None else "it was deleted"
        if key is not None and key.supplied:
            command.reporter.notice(
                f"{held.name}: {why or 'a password that you supplied'}. To replace it: pullkey rotate {shlex.quote(held.name)}"
            )
            await session.close()
            command.results.append("to be replaced by you" if why else "user-supplied")
            return ExitCode.DRIFT if why else ExitCode.DONE
        context.new_key = bool(why)
        if why:
            command.reporter.notice(f"{held.name}: key {link.key_id} is due: {why}.")
    options = RunOptions(
        secret_name=held.name,
        anyway=True,
        dry_run=values["dry_run"],
        yes=values["yes"],
        grace=values["keep_old"],
        overlap=values["overlap"],
        command=retyped(),
    )
    run = command.assembly.run(command.opened(known), options, akka_checked=True)
    with ends_in_order(run, command.reporter, options.command):
        outcome = await run.execute()
    command.interrupted = isinstance(outcome.error, Interrupted)
    command.reporter.close()
    documents.append(run_document(run, command="rotate", provider=behind.provider.name))
    if values["due"] and not why and outcome.result == "unchanged" and not outcome.left_over:
        say(f"{held.name}: key {link.key_id} is not due{_age_and_expiry(key)}.", sys.stderr)
        command.results.append("not due")
        return outcome.exit_code
    tell_end(outcome, run=run, show_commands=False, handover=None, verbose=command.verbose)
    command.results.append(_word_for(run, outcome))
    return outcome.exit_code


def _word_for(run: TargetOperation, outcome: Result) -> str:
    """What a rotation has come to."""
    if outcome.exit_code not in (ExitCode.DONE, ExitCode.LEFT_OVER):
        return "not rotated"
    if outcome.result == "planned":
        return "to rotate"
    return "rotated" if outcome.steps[run.handoff.name].result == "done" else "repaired"


def _age_and_expiry(key: KeyFacts | None) -> str:
    """`, 12d old, expires 2027-02-27`, as far as it is known."""
    if key is None:
        return ""
    from bootstrap.table import ago

    age = f", {ago(key.created)} old" if key.created and ago(key.created) != "now" else ""
    return f"{age}, {f'expires {key.ends:%Y-%m-%d}' if key.ends else 'no expiry'}"


# -- offboard ------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("name", required=False, shell_complete=offers("credentials"))
@with_options(
    _ALL,
    Option("--keep-identity", "Keep the service account or application, even if nothing else uses it.", kind="switch"),
    Option("--keep-secret", "Keep Akka's secret; remove only the project's reference to it, and its key.", kind="switch"),
    _OFFBOARD_IMAGE, _OFFBOARD_SECRET, AUDIT, _DRY_RUN, YES, *SCOPE, TIMEOUT, OUTPUT, VERBOSE,
)  # fmt: skip
def offboard(**values: Any) -> int:
    """Remove a credential: Akka's reference and secret, then key, grant and identity.

    The identity is deleted only if pullkey created it and nothing else uses it. Of the resources of a credential, what is
    already deleted counts as done; a name that Akka does not have is an error.

    \b
    Examples:
      pullkey offboard europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey offboard acmeshop-azurecr-io --dry-run
      pullkey offboard --all --yes
      pullkey offboard -f registries.yaml --only NAME  (see: pullkey offboard -f FILE --help)
    """
    values = _cleaned(values)
    _one_or_all(values)
    _needs_terminal_or_yes(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    return run_alone(_offboard(values, secret))


async def _offboard(values: Mapping[str, Any], secret: Secret | None) -> int:
    from bootstrap.documents import results_document

    documents: list[Mapping[str, Any]] = []
    left_over: Sequence[LeftOver] = ()

    async def one(command: _Command, held: HeldCredential) -> int:
        return await _offboard_one(command, held, values, secret, documents)

    async with opened(values) as command:
        name = values["name"]
        credentials = await command.akka.credentials_with([name] if name else [])
        if not name:
            code = await _each(command, values, one)
            # What a run has left that never came to register it no record of Akka's names.
            names = [held.name for held in await command.akka.credentials()]
            left_over = [one for items in left_over_of_gone(command.scope, names).values() for one in items]
            if left_over:
                command.reporter.left_over(left_over)
                code = code if code == ExitCode.INTERRUPTED else ExitCode.LEFT_OVER
        elif name in [held.name for held in credentials]:
            code = await _each(command, values, one)
        elif (lost := _left_behind(command, name)) is not None:
            command.reporter.notice("An earlier run has not removed all of it; going on with that.")
            code = await one(command, lost)
        else:
            left_over = await _unlisted(command, name, credentials, keep_secret=values["keep_secret"])
            code = ExitCode.LEFT_OVER if left_over else ExitCode.DONE
    if values["output"] == "json":
        print_document(results_document("offboard", documents, code, left_over, command.errors))
    return code


async def _unlisted(
    command: _Command, name: str, credentials: Sequence[HeldCredential], *, keep_secret: bool
) -> list[LeftOver]:
    """What there is of a name that Akka lists no credential of: its secret, whose it may be is not known.

    Akka lists a credential by the project's reference, which is removed first, is written last, and may be shown late.

    Raises:
        UsageProblem: there is neither; what is already gone and what was mistyped look alike.
    """
    from bootstrap.behind import known_names

    where = command.scope.label
    again = "run it again there, or onboard the registry again and offboard it, which finds what is left."
    if keep_secret or not await command.akka.lists_secret(name):
        # Already gone is done; but a name that was mistyped must not look like it.
        say(f"If an offboarding of {name} was interrupted on another machine: {again}", sys.stderr)
        raise UsageProblem(
            f"There is no credential named {name} in {where}",
            fix=known_names(credentials, name),
            code=Code.CREDENTIAL_NOT_FOUND,
        )
    found = [LeftOver(f"Akka's secret {name}", command.akka.secret_removal(name))]
    say(f"Akka lists no credential named {name} in {where}, but a secret of that name. Nothing was changed.", sys.stderr)  # fmt: skip
    say("  If it was registered a moment ago: run this again in a while.", sys.stderr)
    say(f"  If a registration or an offboarding of it was cut off on another machine: {again}", sys.stderr)
    command.reporter.left_over(found)
    return found


def _left_behind(command: _Command, name: str) -> HeldCredential | None:
    """What a run that did not end was removing; Akka may have forgotten it already.

    Raises:
        PullkeyError: a run that did not end was about something else.
    """
    from bootstrap.recovery import being_removed

    journal = command.assembly.journal(command.scope, name)
    lost = journal.left_behind()
    if lost is not None and journal.at_work:
        raise PullkeyError(f"Akka has no credential named {name} in {command.scope.label}, and run {lost.run_id} of {lost.begun} is at work on it", fix="Wait for it to end, and run this again", code=Code.RUN_BUSY)  # fmt: skip
    going = being_removed(lost)
    if lost is not None and going is None:
        raise PullkeyError(f"Akka has no credential named {name} in {command.scope.label}, but run {lost.run_id} of {lost.begun} did not end, and may have created its cloud resources", fix=f"Run that again to complete it; then offboard it: {lost.command}", code=Code.RUN_UNFINISHED)  # fmt: skip
    return going


async def _offboard_one(
    command: _Command,
    held: HeldCredential,
    values: Mapping[str, Any],
    secret: Secret | None,
    documents: list[Mapping[str, Any]],
) -> int:
    from bootstrap.behind import find
    from bootstrap.cli.signals import ends_in_order
    from bootstrap.documents import parting_document
    from bootstrap.report import tell_parting
    from bootstrap.run_options import OffboardOptions

    asking = command.context if values["dry_run"] else _asking(command, "offboard", held, secret)
    behind = await find(held, asking, image=values["image"])
    known = _known(behind)
    options = OffboardOptions(
        dry_run=values["dry_run"],
        yes=values["yes"],
        keep_identity=values["keep_identity"],
        keep_secret=values["keep_secret"],
        command=retyped(),
    )
    who = await known.session.connect()
    command.record(behind, who)
    command.reporter.connected(known.target.label, who)
    offboarding = command.assembly.offboarding(behind, command.opened(known), options)
    with ends_in_order(offboarding, command.reporter, options.command):
        outcome = await offboarding.execute()
    command.interrupted = isinstance(outcome.error, Interrupted)
    command.reporter.close()
    documents.append(parting_document(outcome, behind, scope=command.scope))
    tell_parting(outcome, behind, command.scope.label)
    return outcome.exit_code
