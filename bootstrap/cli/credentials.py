"""The commands that take the name of an Akka secret: `list`, `rotate`, `offboard`, and `verify NAME`.

What stands behind a name (provider, project, registry, identity, key) is read from Akka's own record and from the clouds.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from bootstrap.audit import Change, about
from bootstrap.cli.audit import audited
from bootstrap.cli.options import (
    IMAGE,
    OUTPUT,
    TIMEOUT,
    VERBOSE,
    YES,
    clean,
    retyped,
    scope_of,
    with_options,
)
from bootstrap.cli.secrets import asker, read_stdin, run_alone
from bootstrap.errors import ExitCode, LeftOver, PullkeyError, Refused, UsageProblem
from bootstrap.options import AUDIT, KEEP_OLD, OVERLAP, SCOPE
from bootstrap.provider import Option
from bootstrap.words import sentence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bootstrap.akka import AkkaCli, AkkaScope
    from bootstrap.audit import Trail
    from bootstrap.behind import Behind
    from bootstrap.link import KeyLink
    from bootstrap.proofs import Proofs
    from bootstrap.provider import HeldCredential, RunContext, Session, Target
    from bootstrap.recovery import PartWith
    from bootstrap.reporter import Reporter
    from bootstrap.secret import Secret

_AT_ONCE = 8
_ALL = Option("--all", "All that pullkey made in the project.", kind="switch")
_DRY_RUN = Option("--dry-run", "Show what would be done; change nothing.", kind="switch")
_SECRET = Option("--secret-stdin", "Read from stdin what a new key needs: the Docker Hub login, or the new password.", kind="secret")  # fmt: skip


@dataclass
class _Command:
    """What one command has open."""

    scope: AkkaScope
    context: RunContext
    akka: AkkaCli
    reporter: Reporter
    proofs: Proofs
    verbose: bool
    trail: Trail | None = None

    def record(self, behind: Behind, who: str = "") -> None:
        """What is changed for this credential from now on goes into the trail, if there is one."""
        if self.trail is not None and behind.context is not None:
            label = behind.target.label if behind.target is not None else behind.held.server
            named = about(behind.provider.name, label, self.scope, behind.held.name)
            behind.context.audit = self.trail.of(behind.context.run_id, named, who)


@asynccontextmanager
async def _opened(values: Mapping[str, Any]) -> AsyncIterator[_Command]:
    """Akka is there, is logged in and sees the project; whatever is opened meanwhile is closed in the end.

    Raises:
        Refused: Akka cannot be asked.
    """
    from bootstrap.akka import AkkaCli
    from bootstrap.display import make_reporter
    from bootstrap.proofs import Proofs
    from bootstrap.provider import RunContext
    from bootstrap.settings import check_addresses, state_directory
    from bootstrap.waiting import Deadline

    check_addresses("")
    reporter = make_reporter(sys.stderr, verbose=values["verbose"])
    deadline = Deadline(values["timeout"].total_seconds())
    context = RunContext(deadline, reporter.waiting, reporter.trace)
    scope = scope_of(values)
    akka = AkkaCli(scope, deadline, reporter.trace)
    try:
        problems = await akka.preflight()
        if problems:
            reporter.problems(problems)
            raise Refused(problems)
        command = _Command(scope, context, akka, reporter, Proofs(state_directory()), values["verbose"])
        async with audited(values, akka) as command.trail:
            yield command
    finally:
        reporter.close()
        await context.shared.close()


def _cleaned(values: dict[str, Any]) -> dict[str, Any]:
    return {key: clean(key, value) for key, value in values.items()}


def _parting(command: _Command) -> PartWith:
    """How a run of this command removes what stood behind a record that its own has replaced."""

    async def parts(held: HeldCredential) -> Any:
        from bootstrap.offboarding import part_with

        return await part_with(held, command.context, command.akka, command.reporter, command.proofs)

    return parts


# -- list ----------------------------------------------------------------------------------------------------------


@click.command("list")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@with_options(
    Option("--check", "For a job: exit 5 if anything is wrong, or could not be seen.", kind="switch"),
    Option("--expires-within", "A key that ends within this time is wrong.", kind="duration", default="14d", metavar="TIME"),
    Option("--secret-stdin", "Read the Docker Hub login from stdin, without which its tokens cannot be seen.", kind="secret"),
    *SCOPE, TIMEOUT, OUTPUT, VERBOSE,
)  # fmt: skip
def list_credentials(**values: Any) -> int:
    """Show the credentials that Akka has, joined with what the clouds say of them; change nothing.

    With one NAME, all that is known of it. Without rights on a cloud it shows what it can, and says what it could not
    see.

    \b
    Examples:
      pullkey list
      pullkey list europe-west1-docker-pkg-dev-acme-shop-containers
      pullkey list --check --expires-within 30d
      pullkey list -f registries.yaml          (see: pullkey list -f FILE --help)
    """
    values = _cleaned(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    return run_alone(_list(values, secret))


async def listing(values: Mapping[str, Any], secret: Secret | None) -> tuple[AkkaScope, list[Any]]:
    """How the credentials of a project stand, or those that are named.

    Raises:
        Refused: Akka cannot be asked.
        UsageProblem: it has none of a name.
    """
    from bootstrap.behind import known_names

    async with _opened(values) as command:
        if secret is not None:
            command.context.ask_secret = asker(secret)
        held = await command.akka.credentials()
        for name in values["names"]:
            if name not in [one.name for one in held]:
                raise UsageProblem(f"Akka has no credential named {name!r} in {command.scope.label}", mend=known_names(held, name))  # fmt: skip
        chosen = [one for one in held if not values["names"] or one.name in values["names"]]
        return command.scope, await _standings(command, chosen, values["expires_within"])


async def _list(values: Mapping[str, Any], secret: Secret | None) -> int:
    from bootstrap.documents import as_text, list_document

    scope, standings = await listing(values, secret)
    wrong = [one for one in standings if one.wrong or (one.unseen and values["check"])]
    code = ExitCode.DRIFT if values["check"] and wrong else ExitCode.DONE
    if values["output"] == "json":
        click.echo(as_text(list_document(standings, scope=scope, code=code)))
    else:
        _show(standings, values["names"], scope.label)
    return code


async def _standings(command: _Command, chosen: Sequence[HeldCredential], within: Any) -> list[Any]:
    """Each looked at, some side by side; one that fails stops no other."""
    import asyncio

    from bootstrap.behind import find
    from bootstrap.standing import stand

    room = asyncio.Semaphore(_AT_ONCE)

    async def look(held: HeldCredential) -> Any:
        async with room:
            return await stand(await find(held, command.context), command.proofs, expires_within=within)

    return list(await asyncio.gather(*map(look, sorted(chosen, key=lambda one: one.name))))


def _show(standings: Sequence[Any], names: Sequence[str], where: str) -> None:
    import shutil

    from bootstrap.display import wants_colour
    from bootstrap.table import as_page, as_table, total

    colours = {"head": {"bold": True}, "ok": {"fg": "green"}, "wrong": {"fg": "red", "bold": True}, "unseen": {"fg": "yellow"}}  # fmt: skip
    coloured = wants_colour(sys.stdout)

    def style(text: str, state: str) -> str:
        return click.style(text, **colours.get(state, {"dim": True})) if coloured else text  # type: ignore[arg-type]

    if not standings:
        click.echo(f"Akka has no registry credentials in {where}.")
        return
    if len(names) == 1:
        click.echo("\n".join(as_page(standings[0], style=style)))
        return
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80
    click.echo("\n".join(as_table(standings, width=width, style=style)))
    click.echo(total(standings))


# -- verify --------------------------------------------------------------------------------------------------------


async def verify_named(values: Mapping[str, Any]) -> int:
    """`pullkey verify NAME`, or by an image."""
    from bootstrap.behind import find, named
    from bootstrap.documents import as_text, run_document
    from bootstrap.engine import Run
    from bootstrap.journal import Journal
    from bootstrap.outcome import Wishes
    from bootstrap.report import tell_end
    from bootstrap.settings import state_directory

    password = read_stdin("--credential-stdin") if values["credential_stdin"] else None
    async with _opened(values) as command:
        credentials = await command.akka.credentials()
        if values["name"]:
            held = named(credentials, values["name"], command.scope.label)
        else:
            held = await _by_image(credentials, values["image"], command)
        behind = await find(held, command.context, image=values["image"])
        known = _known(behind)
        wishes = Wishes(secret_name=held.name, dry_run=True, command=retyped())
        journal = Journal(state_directory(), command.scope.place(held.name), known.target.identity)
        run = Run(
            known.target, known.session, known.context, command.akka, journal, command.reporter, wishes,
            proofs=command.proofs, part_with=_parting(command), akka_checked=True,
        )  # fmt: skip
        outcome = await run.verify(password)
        command.reporter.close()
        if values["output"] == "json":
            click.echo(
                as_text(
                    run_document(run, command="verify", provider=behind.provider.name, scope=command.scope)
                )
            )
        tell_end(outcome, run=run, show_commands=False, handover=None, verbose=command.verbose)
    return outcome.exit_code


async def _by_image(credentials: Sequence[HeldCredential], image: str, command: _Command) -> HeldCredential:
    """The one credential that pulls an image: of its registry, and where several are, of its repository.

    Raises:
        UsageProblem: there is none, or more than one may be meant.
    """
    from bootstrap.behind import find, is_for
    from bootstrap.reference import parse_reference

    named = parse_reference(image, where="--image")
    same = [one for one in credentials if is_for(one, named.registry)]
    if not same:
        raise UsageProblem(f"Akka has no credential for {named.registry} in {command.scope.label}", mend="See `pullkey list`.")  # fmt: skip
    if len(same) > 1:
        found = [await find(one, command.context) for one in same]
        labels = {one.held.name: one.target.label for one in found if one.target is not None}
        fitting = [one for one in same if f"{named}".startswith(f"{labels.get(one.name, ' ')}/")]
        same = fitting or same
    if len(same) > 1:
        names = ", ".join(sorted(one.name for one in same))
        raise UsageProblem(f"More than one credential may be for {named}: {names}", mend="Name one: pullkey verify NAME")  # fmt: skip
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
        raise PullkeyError(f"Akka's {name} was not made by pullkey, so what stands behind it is not known", mend=f"To have pullkey look after it: pullkey onboard {behind.provider.name} ... --secret-name {name} --replace")  # fmt: skip
    if behind.target is None or behind.session is None or behind.context is None:
        raise behind.error or PullkeyError(f"What stands behind Akka's {name} could not be found")
    return _Known(behind.target, behind.session, behind.context, link)


# -- rotate --------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("name", required=False)
@with_options(
    _ALL,
    Option("--due", "Only where a third of the key's life is left; without an end date, at 90 days of age.", kind="switch"),
    Option("--older-than", "With --due: where the key is of this age, instead.", kind="duration", metavar="TIME"),
    KEEP_OLD,
    OVERLAP,
    Option("--restore", "Switch the key on again that the last rotation switched off.", kind="switch"),
    IMAGE, _SECRET, AUDIT, _DRY_RUN, YES, *SCOPE, TIMEOUT, OUTPUT, VERBOSE,
)  # fmt: skip
def rotate(**values: Any) -> int:
    """Replace the key behind a credential: a new one beside the old, proven, handed to Akka, read back in every region.

    Only then is the old one taken out of use. Akka never holds a key that cannot pull, and keys of others are not
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
        raise UsageProblem("--restore takes back one rotation: name the credential")
    if not values["restore"]:
        _needs_terminal_or_yes(values)
    secret = read_stdin("--secret-stdin") if values["secret_stdin"] else None
    if secret is not None and values["all"]:
        raise UsageProblem("--secret-stdin is for one credential: name it")
    return run_alone(_rotate(values, secret))


def _one_or_all(values: Mapping[str, Any]) -> None:
    if values["all"] == bool(values["name"]):
        raise UsageProblem("Name one credential of Akka's, or give --all", mend="See `pullkey list`.")


def _needs_terminal_or_yes(values: Mapping[str, Any]) -> None:
    if not (values["yes"] or values["dry_run"]) and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageProblem("There is no terminal to ask on before the first change", mend="Give --yes, or --dry-run to look only")  # fmt: skip


async def _rotate(values: Mapping[str, Any], secret: Secret | None) -> int:
    from bootstrap.documents import as_text, results_document

    documents: list[Mapping[str, Any]] = []

    async def one(command: _Command, held: HeldCredential) -> int:
        return await _rotate_one(command, held, values, secret, documents)

    async with _opened(values) as command:
        code = await _each(command, values, one)
    if values["output"] == "json":
        click.echo(as_text(results_document("rotate", documents, code)))
    return code


async def _each(
    command: _Command, values: Mapping[str, Any], work: Callable[[_Command, HeldCredential], Awaitable[int]]
) -> int:
    """The one that was named, or all of ours, one after another; one that fails stops no other."""
    from bootstrap.behind import named

    credentials = await command.akka.credentials()
    if values["name"]:
        return await work(command, named(credentials, values["name"], command.scope.label))
    chosen = sorted((one for one in credentials if one.link is not None), key=lambda one: one.name)
    others = len(credentials) - len(chosen)
    if others:
        command.reporter.notice(
            f"{others} of Akka's credentials were not made by pullkey, and are left alone."
        )
    if not chosen:
        command.reporter.notice(f"Akka has no credential of pullkey's in {command.scope.label}.")
    codes = []
    for held in chosen:
        try:
            codes.append(await work(command, held))
        except PullkeyError as error:
            codes.append(_tell(held.name, error))
        if codes[-1] == ExitCode.INTERRUPTED:
            return ExitCode.INTERRUPTED
    failed = [code for code in codes if code != ExitCode.DONE]
    if len(chosen) > 1 and failed:
        click.echo(f"pullkey: {len(failed)} of {len(chosen)} credentials failed; see above.", err=True)
        return ExitCode.SOME_FAILED
    return failed[0] if failed else ExitCode.DONE


def _tell(name: str, error: PullkeyError) -> int:
    click.echo(f"pullkey: {name}: {sentence(error.what)}", err=True)
    if error.mend:
        click.echo(f"  {sentence(error.mend)}", err=True)
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
    from bootstrap.engine import Run
    from bootstrap.journal import Journal
    from bootstrap.outcome import Wishes
    from bootstrap.report import tell_end
    from bootstrap.retirement import restore
    from bootstrap.settings import state_directory
    from bootstrap.standing import due

    asking = replace(command.context, ask_secret=asker(secret)) if not values["dry_run"] else command.context
    behind = await find(held, asking, image=values["image"])
    known = _known(behind)
    command.record(behind)
    target, session, context, link = known.target, known.session, known.context, known.link
    journal = Journal(state_directory(), command.scope.place(held.name), target.identity)
    if values["restore"]:
        with journal.locked():
            command.record(behind, await session.connect())
            told = await restore(session, link)
            context.audit(Change("restore", told, "done", link.replaces))
            click.echo(told, err=True)
        return ExitCode.DONE
    context.new_key = True
    question = f"Replace the key behind Akka's {held.name}?"
    if values["due"]:
        await session.connect()
        key = await session.key_facts(link.key_id)
        why = due(key, values["older_than"]) if key is not None else "it is gone"
        context.new_key = bool(why)
        command.reporter.notice(f"{held.name}: key {link.key_id} is {'due: ' + why if why else 'not due'}.")
    wishes = Wishes(
        secret_name=held.name,
        anyway=True,
        dry_run=values["dry_run"],
        yes=values["yes"],
        question=question,
        grace=values["keep_old"],
        overlap=values["overlap"],
        command=retyped(),
    )
    run = Run(
        target, session, context, command.akka, journal, command.reporter, wishes,
        proofs=command.proofs, part_with=_parting(command), akka_checked=True,
    )  # fmt: skip
    with ends_in_order(run, command.reporter, wishes.command):
        outcome = await run.execute()
    command.reporter.close()
    documents.append(run_document(run, command="rotate", provider=behind.provider.name, scope=command.scope))
    tell_end(outcome, run=run, show_commands=False, handover=None, verbose=command.verbose)
    return outcome.exit_code


# -- offboard ------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("name", required=False)
@with_options(
    _ALL,
    Option("--keep-identity", "Leave the service account or application, even where nothing else uses it.", kind="switch"),
    Option("--keep-secret", "Leave Akka's secret; only the project's reference to it goes, and the key behind it.", kind="switch"),
    IMAGE, _SECRET, AUDIT, _DRY_RUN, YES, *SCOPE, TIMEOUT, OUTPUT, VERBOSE,
)  # fmt: skip
def offboard(**values: Any) -> int:
    """Take a credential out of use: Akka's reference, Akka's secret, then key, grant and identity.

    The identity goes only if pullkey made it and nothing else uses it. What is already gone counts as done.

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
    from bootstrap.documents import as_text, results_document
    from bootstrap.waiting import surely

    documents: list[Mapping[str, Any]] = []
    left_over: Sequence[LeftOver] = ()

    async def one(command: _Command, held: HeldCredential) -> int:
        return await _offboard_one(command, held, values, secret, documents)

    async with _opened(values) as command:
        name = values["name"]
        credentials: Sequence[HeldCredential] = []

        async def listed() -> bool | None:
            nonlocal credentials
            credentials = await command.akka.credentials()
            return name in [held.name for held in credentials] or None

        if not name or await surely(listed):
            code = await _each(command, values, one)
        elif (lost := _left_behind(command, name)) is not None:
            command.reporter.notice("An earlier run had begun to remove it; going on with that.")
            code = await one(command, lost)
        else:
            left_over = await _unlisted(command, name, credentials, keep_secret=values["keep_secret"])
            code = ExitCode.LEFT_OVER if left_over else ExitCode.DONE
    if values["output"] == "json":
        click.echo(as_text(results_document("offboard", documents, code, left_over)))
    return code


async def _unlisted(
    command: _Command, name: str, credentials: Sequence[HeldCredential], *, keep_secret: bool
) -> list[LeftOver]:
    """What there is of a name that Akka lists no credential of: its secret, whose it may be is not known.

    Akka lists a credential by the project's reference, which is removed first, is written last, and may be shown late.
    """
    from bootstrap.behind import known_names

    where = command.scope.label
    again = "run it again there, or onboard the registry again and offboard it, which finds what is left."
    if keep_secret or not await command.akka.lists_secret(name):
        # Already gone is done; but a name that was mistyped must not look like it.
        click.echo(f"Akka has no credential named {name} in {where}, so there is nothing to remove. {known_names(credentials, name)}", err=True)  # fmt: skip
        click.echo(f"  If an offboarding of it was cut off on another machine: {again}", err=True)
        return []
    found = [LeftOver(f"Akka's secret {name}", command.akka.secret_removal(name))]
    click.echo(f"Akka lists no credential named {name} in {where}, but a secret of that name. Nothing was changed.", err=True)  # fmt: skip
    click.echo("  If it was registered a moment ago: run this again in a while.", err=True)
    click.echo(
        f"  If a registration or an offboarding of it was cut off on another machine: {again}", err=True
    )
    command.reporter.left_over(found)
    return found


def _left_behind(command: _Command, name: str) -> HeldCredential | None:
    """What a run that did not end was removing; Akka may have forgotten it already.

    Raises:
        PullkeyError: a run that did not end was about something else.
    """
    from bootstrap.journal import Journal
    from bootstrap.provider import HeldCredential
    from bootstrap.recovery import OFFBOARD
    from bootstrap.settings import state_directory

    lost = Journal(state_directory(), command.scope.place(name), "").left_behind()
    if lost is None:
        return None
    entries = [entry for entry in lost.entries if entry.step == OFFBOARD]
    if not entries:
        raise PullkeyError(f"Akka has no credential named {name} in {command.scope.label}, but run {lost.run_id} of {lost.begun} did not end, and may have made what is behind it", mend=f"Run that again, which ends it; then offboard it: {lost.command}")  # fmt: skip
    return HeldCredential(**entries[0].intent["held"])


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
    from bootstrap.journal import Journal
    from bootstrap.offboarding import Offboarding, Wanted
    from bootstrap.report import tell_parting
    from bootstrap.settings import state_directory

    asking = replace(command.context, ask_secret=asker(secret)) if not values["dry_run"] else command.context
    behind = await find(held, asking, image=values["image"])
    known = _known(behind)
    wanted = Wanted(
        dry_run=values["dry_run"],
        yes=values["yes"],
        keep_identity=values["keep_identity"],
        keep_secret=values["keep_secret"],
        command=retyped(),
    )
    journal = Journal(state_directory(), command.scope.place(held.name), known.target.identity)
    who = await known.session.connect()
    command.record(behind, who)
    command.reporter.connected(known.target.label, who)
    parting = Offboarding(
        behind, known.context, command.akka, journal, command.reporter, command.proofs, wanted
    )
    with ends_in_order(parting, command.reporter, wanted.command):
        outcome = await parting.execute()
    command.reporter.close()
    documents.append(parting_document(outcome, behind, scope=command.scope))
    tell_parting(outcome, behind)
    return outcome.exit_code
