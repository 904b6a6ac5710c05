"""The errors of the commands about what was typed and about the process itself, each with its code."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.codes import Code
from bootstrap.model.errors import PullkeyError, UsageProblem
from bootstrap.plugin.messages import went_wrong

_AN_IMAGE = "An image is HOST/NAME:TAG, or NAMESPACE/NAME:TAG on Docker Hub."

# -- values and options that are missing or conflict ---------------------------------------------------------


def no_command() -> UsageProblem:
    return UsageProblem("No command was given", code=Code.MISSING_VALUE)


def processes_need_yes() -> UsageProblem:
    return UsageProblem(
        "--processes needs --yes: each process plans and applies its part, and cannot ask",
        fix="Preview with `pullkey plan -f FILE`, then pass --yes.",
        code=Code.MISSING_VALUE,
    )


def several_files() -> UsageProblem:
    return UsageProblem(
        "-f is passed more than once, and a command takes one file of registries",
        fix="Run the command for each file. Only `pullkey validate` takes several.",
        code=Code.OPTIONS_CONFLICT,
    )


def processes_need_a_file() -> UsageProblem:
    return UsageProblem(
        "--processes is for a file, and a saved plan is applied as a whole",
        fix="Pass -f FILE, or leave --processes out.",
        code=Code.OPTIONS_CONFLICT,
    )


def processes_need_audit_file(audit: str) -> UsageProblem:
    where = "stdout" if audit == "-" else "syslog"
    return UsageProblem(
        f"--audit {audit} cannot be combined with --processes: each process would write a chain of its own "
        f"to {where}, and `pullkey audit verify` would report their lines as changed",
        fix="Pass a file to --audit, which all processes append to in turn, or leave --processes out.",
        code=Code.OPTIONS_CONFLICT,
    )


def part_unfinished(label: str, how: str) -> PullkeyError:
    """The process of a part of a file ended without a complete report. `how`: "was killed (SIGKILL)"."""
    return PullkeyError(
        f"The process of {label} {how}, and may have changed its targets",
        fix="Run it again: it cleans up first.",
        code=Code.RUN_UNFINISHED,
    )


def part_not_started(label: str, error: OSError) -> PullkeyError:
    """No process could be forked for a part of a file."""
    return PullkeyError(
        f"No process could be started for {label} ({error.strerror or error}); its targets were not changed",
        fix="Raise the limits of processes and memory of this host or container, or pass a lower "
        "--processes. Then run it again.",
        code=Code.NOT_TRIED,
    )


def no_file_and_no_plan() -> UsageProblem:
    """`pullkey apply` without a file of registries and without a saved plan, or with both."""
    return UsageProblem(
        "Pass a file of registries with -f FILE, or a saved plan: pullkey apply PLAN",
        code=Code.MISSING_VALUE,
    )


def no_image_and_no_provider(verb: str) -> UsageProblem:
    return UsageProblem(
        "No image and no provider is named",
        fix=f"Name an image: pullkey {verb} HOST/NAME:TAG. Or pass --from-project for those "
        "that the Akka project pulls",
        code=Code.MISSING_VALUE,
    )


def no_name_and_not_all() -> UsageProblem:
    return UsageProblem(
        "Name one of Akka's credentials, or pass --all",
        fix="See `pullkey list`.",
        code=Code.MISSING_VALUE,
    )


def no_targets_and_not_all() -> UsageProblem:
    return UsageProblem(
        "Name the targets to remove with --only, or pass --all",
        fix="See: pullkey list -f FILE",
        code=Code.MISSING_VALUE,
    )


def no_page() -> UsageProblem:
    return UsageProblem("No page is named", fix="Pass --html report.html", code=Code.MISSING_VALUE)


def nothing_to_verify() -> UsageProblem:
    return UsageProblem(
        "No credential, image or service is named", fix="See `pullkey list`.", code=Code.MISSING_VALUE
    )


def projects_and_all_projects() -> UsageProblem:
    return UsageProblem("Name Akka projects, or pass --all-projects", code=Code.MISSING_VALUE)


def metrics_not_installed(command: str) -> UsageProblem:
    return UsageProblem(
        "Metrics need prometheus-client, which is not installed",
        fix=f"Install it: {command}",
        code=Code.EXTRA_MISSING,
    )


def textfile_name(name: str) -> UsageProblem:
    return UsageProblem(
        f"--textfile: {name} would not be read: node_exporter reads only files that end in .prom",
        fix="Pass a name such as pullkey.prom.",
        code=Code.OUTPUT_FILE,
    )


def audit_and_json_on_stdout() -> UsageProblem:
    return UsageProblem(
        "--audit - and --output json would both write to stdout",
        fix="Pass a file to --audit, or leave out --output json.",
        code=Code.OPTIONS_CONFLICT,
    )


def audit_file_unreadable(name: str, why: str | OSError) -> UsageProblem:
    if isinstance(why, OSError):
        why = why.strerror or "it is damaged"
    return UsageProblem(
        f"The audit trail {name} cannot be read: {why}",
        fix="Name files that --audit has written; `-` reads stdin.",
        code=Code.FILE_UNREADABLE,
    )


def project_and_all_projects() -> UsageProblem:
    return UsageProblem(
        "--all-projects is for all Akka projects, and --akka-project names one",
        fix="Leave one of the two out.",
        code=Code.OPTIONS_CONFLICT,
    )


def restore_needs_name() -> UsageProblem:
    return UsageProblem("--restore takes back one rotation: name the credential", code=Code.MISSING_VALUE)


def secret_stdin_needs_name() -> UsageProblem:
    return UsageProblem("--secret-stdin is for one credential: name it", code=Code.MISSING_VALUE)


def saved_plan_has_no_selection() -> UsageProblem:
    """`--only` or `--shard` with a saved plan."""
    return UsageProblem(
        "A saved plan is applied as saved: pass --only or --shard to `pullkey plan -f`",
        code=Code.OPTIONS_CONFLICT,
    )


def two_images(option: str, given: str, image: str) -> UsageProblem:
    """An option and the argument IMAGE name different images."""
    return UsageProblem(
        f"{option} is {given!r}, and IMAGE is {image!r}: name one", code=Code.OPTIONS_CONFLICT
    )


def service_and_other_name() -> UsageProblem:
    return UsageProblem("--service names its own image: leave out the other name", code=Code.OPTIONS_CONFLICT)


def output_file_exists(option: str, path: str) -> UsageProblem:
    return UsageProblem(
        f"{option}: {path} already exists",
        fix="Name another file, and compare the two.",
        code=Code.OUTPUT_FILE,
    )


def empty_value(option: str) -> UsageProblem:
    return UsageProblem(f"{option} is empty", fix="Pass a value, or leave the option out.")


def too_long(option: str, length: int, longest: int) -> UsageProblem:
    return UsageProblem(f"{option} is {length} characters long; the maximum is {longest}")


def not_printable(option: str, text: str) -> UsageProblem:
    return UsageProblem(f"{option} holds a character that cannot be printed: {text!r}", fix="Type it again.")


def begins_with_dash(option: str, text: str) -> UsageProblem:
    return UsageProblem(f"{option}: {text!r} begins with a dash; was its value left out?")


def unknown_code(typed: str, near: Sequence[str]) -> UsageProblem:
    """`near` are codes that are close to what was typed."""
    return UsageProblem(
        f"There is no code {typed!r}",
        fix=f"Did you mean {' or '.join(near)}?" if near else "List all codes: pullkey explain",
        code=Code.UNKNOWN_CODE,
    )


# -- providers and images ------------------------------------------------------------------------------------


def file_for_image(name: str) -> UsageProblem:
    """A file of registries is named where the command takes a provider or an image."""
    return UsageProblem(
        f"{name!r} looks like a file of registries, and this command takes a provider or an image",
        fix=f"For the targets of a file: pullkey plan -f {name}",
    )


def not_an_image(image: str) -> UsageProblem:
    return UsageProblem(f"{image!r} is not an image", fix=_AN_IMAGE)


def neither_provider_nor_image(word: str, names: Sequence[str], near: str) -> UsageProblem:
    return UsageProblem(
        f"There is no provider {word!r}; there are: {', '.join(names)}",
        fix=f"{_AN_IMAGE} {near}".rstrip(),
        code=Code.PROVIDER_UNKNOWN,
    )


def which_provider(host: str) -> str:
    """No provider claims an image's host."""
    return f"No provider handles {host}"


def provider_not_certain(host: str, choices: Sequence[str]) -> UsageProblem:
    """Where there is no terminal to ask on which of `choices` is meant."""
    return UsageProblem(
        f"{which_provider(host)}: {', '.join(choices)}",
        fix=f"Name one: pullkey onboard {choices[0]} ...",
        code=Code.HOST_UNKNOWN,
    )


# -- terminals -----------------------------------------------------------------------------------------------


def no_terminal_to_confirm(instead: str) -> UsageProblem:
    return UsageProblem(
        "Cannot prompt for confirmation: not a terminal",
        fix=f"Pass --yes to proceed or {instead}",
        code=Code.NO_TERMINAL,
    )


def no_terminal_to_choose_registries() -> UsageProblem:
    return UsageProblem(
        "Cannot ask which registries to onboard: not a terminal",
        fix="Pass --yes to onboard all that need it, or --dry-run to preview",
        code=Code.NO_TERMINAL,
    )


# -- the process ---------------------------------------------------------------------------------------------


def unexpected(kind: str, place: str, plugin: str = "") -> PullkeyError:
    """An exception of a class that pullkey does not handle, raised at `MODULE:LINE`.

    Args:
        kind: its class.
        place: the module and line.
        plugin: the distribution of the provider that it has come through, if that is not pullkey's own.
    """
    to = f" to the authors of {plugin}" if plugin else ""
    return PullkeyError(
        went_wrong(f"{kind} in {place}"),
        fix=f"Please report it{to}, with the command; `pullkey list` shows what Akka has.",
        code=Code.UNEXPECTED,
    )


def runs_not_on_windows() -> UsageProblem:
    return UsageProblem(
        "pullkey does not run on Windows itself",
        fix="Run it in WSL, the Windows Subsystem for Linux; to install that: wsl --install",
        code=Code.UNSUPPORTED_SYSTEM,
    )


def output_lost(error: OSError) -> PullkeyError:
    return PullkeyError(
        f"Not all of the output could be written to stdout: {error.strerror or error}",
        code=Code.OUTPUT_LOST,
    )


def sandbox_not_installed(package: str | None, command: str) -> UsageProblem:
    return UsageProblem(
        f"The sandbox needs pullkey's extra 'sandbox', which is not installed ({package} is missing)",
        fix=f"Install it: {command}",
        code=Code.EXTRA_MISSING,
    )
