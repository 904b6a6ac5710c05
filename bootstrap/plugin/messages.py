"""Messages about the providers themselves: those that are not installed, cannot be loaded, or get in each
other's way.
"""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.codes import Code
from bootstrap.model.errors import StepFailed, UsageProblem
from bootstrap.model.text import did_you_mean, listed, one_line, sentence

# -- an exception that is not foreseen -----------------------------------------------------------------------


def went_wrong(what: str) -> str:
    """`what` is the class of an error, and where it was raised if that is known."""
    return f"Something that pullkey does not expect went wrong ({what})"


def unexpected(error: BaseException) -> StepFailed:
    return StepFailed(
        went_wrong(type(error).__name__),
        fix="Run it again with --verbose, and report what it shows.",
        code=Code.UNEXPECTED,
    )


def provider_failed(name: str, package: str, error: BaseException) -> StepFailed:
    """An exception of a provider that is not pullkey's own."""
    return StepFailed(
        f"The provider {one_line(name)!r} of {one_line(package)} failed ({type(error).__name__})",
        fix=f"Run it again with --verbose, and report what it shows to the authors of {one_line(package)}.",
        code=Code.UNEXPECTED,
    )


# -- why a provider cannot be used: the end of a sentence ----------------------------------------------------


def import_failed(error: BaseException) -> str:
    summary = one_line(str(error))
    return f"{type(error).__name__}{f': {summary}' if summary else ''}"


def ends_the_process() -> str:
    return "its module ends the process when it is imported"


def entry_point_malformed(value: str) -> str:
    return f"its entry point {one_line(value)!r} is not MODULE:OBJECT"


def no_module(value: str, module: str) -> str:
    return f"its entry point {one_line(value)} leads to no module {module}"


def no_object(value: str, module: str) -> str:
    return f"its entry point {one_line(value)} leads to nothing in the module {module}"


def is_a_class(value: str) -> str:
    return f"its entry point {one_line(value)} is a class, and must be an object of it"


def members_missing(missing: Sequence[str]) -> str:
    return f"it lacks {listed(missing)} of bootstrap.plugin.provider.Provider"


def members_unusable(wrong: Sequence[str]) -> str:
    return f"it has {listed(wrong)} of another kind than bootstrap.plugin.provider.Provider"


def another_name(name: str) -> str:
    return f"it calls itself {one_line(name)!r}"


def name_invalid(name: str) -> str:
    return f"its name {one_line(name)!r} is not lower-case letters and digits, with single dashes between"


def option_invalid(name: str) -> str:
    return f"the name of its option {one_line(name)!r} is not two dashes and lower-case words"


def option_taken(name: str) -> str:
    return f"its option {name} has the name of one that all providers have, or of another of its own"


def does_not_answer(question: str, error: Exception) -> str:
    return f"its {question} fails ({type(error).__name__})"


# -- errors --------------------------------------------------------------------------------------------------


def no_answer_in_time() -> StepFailed:
    """A call that several targets share takes longer than the time of one that waits for it."""
    return StepFailed(
        "There was no answer within --timeout",
        fix="Run it again with a longer --timeout.",
        code=Code.TIMEOUT,
    )


def provider_unknown(name: str, known: Sequence[str]) -> UsageProblem:
    return UsageProblem(
        f"There is no provider {name!r}; there are: {', '.join(known)}",
        fix=did_you_mean(name, known),
        code=Code.PROVIDER_UNKNOWN,
    )


def provider_broken(name: str, package: str, why: str) -> UsageProblem:
    of = f" of {package}" if package else ""
    return UsageProblem(
        f"The provider {name!r}{of} cannot be loaded: {why}",
        fix=f"Update or uninstall {package.partition(' ')[0]}; see: pullkey providers"
        if package
        else "See: pullkey providers",
        code=Code.PROVIDER_BROKEN,
    )


def provider_twice(name: str, packages: Sequence[str]) -> UsageProblem:
    return UsageProblem(
        f"There are {len(packages)} providers of the name {name!r}, of {listed(packages)}",
        fix=f"Uninstall {' or '.join(one.partition(' ')[0] for one in packages)}",
        code=Code.PROVIDER_BROKEN,
    )


def host_claimed_twice(host: str, providers: Sequence[str]) -> UsageProblem:
    """Several providers claim a registry; each has its name and its package."""
    return UsageProblem(
        f"{len(providers)} providers claim {host}: {listed(providers)}",
        fix=f"Name one: pullkey onboard {providers[0].partition(' ')[0]} ...; or uninstall one of them",
        code=Code.HOST_AMBIGUOUS,
    )


def skipped(error: UsageProblem) -> str:
    """The warning that a provider is skipped."""
    return f"{sentence(error.what)} It is skipped. {sentence(error.fix)}"
