"""Find and load the installed providers. Nothing in `bootstrap` names one.

A provider that cannot be used stops nothing but its own: `loaded` skips it with a warning, and `load` reports
what is wrong with it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from bootstrap.model.common_options import TAKEN
from bootstrap.model.errors import UsageProblem, warn_once
from bootstrap.model.option import Option
from bootstrap.plugin import messages
from bootstrap.plugin.provider import Provider

GROUP = "pullkey.providers"
_OWN = "pullkey"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
"""A word of commands, and a part of the names of variables."""
_OPTION = re.compile(r"--[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_ENTRY = re.compile(r"(?P<module>\w+(?:\.\w+)*)\s*:\s*(?P<object>\w+(?:\.\w+)*)\s*(?:\[.*\])?")


@dataclass(frozen=True)
class Installed:
    """One entry point, and the distribution that has it."""

    entry: EntryPoint
    distribution: Distribution

    @property
    def module(self) -> str:
        """The module that the entry point names; "" if it is malformed."""
        match = _ENTRY.fullmatch(self.entry.value)
        return match["module"] if match is not None else ""

    @property
    def package_name(self) -> str:
        """The package that its modules are in; of pullkey's own providers, each has one."""
        return self.module if self.built_in else self.module.rpartition(".")[0] or self.module

    @property
    def package(self) -> str:
        """The distribution, as a user knows it: `acme-pullkey-harbor 1.2.0`."""
        return f"{self.distribution.name} {self.distribution.version}"

    @functools.cached_property
    def built_in(self) -> bool:
        """Whether it comes with pullkey. It reads the distribution's metadata."""
        return self.distribution.name == _OWN


@functools.cache
def installed() -> dict[str, tuple[Installed, ...]]:
    """The entry points by name, sorted; of one name there should be one. None is loaded."""
    found: dict[str, list[Installed]] = {}
    for distribution in _distributions():
        for entry in distribution.entry_points.select(group=GROUP):
            found.setdefault(entry.name, []).append(Installed(entry, distribution))
    return {name: tuple(found[name]) for name in sorted(found)}


def _distributions() -> Iterator[Distribution]:
    """The distributions that have providers; if several have the same name, the one that Python would import.

    `importlib.metadata.entry_points` would parse the entry points of all installed distributions: a hundred
    with the clouds' SDKs.
    """
    with_some = [one for one in distributions() if GROUP in (one.read_text("entry_points.txt") or "")]
    seen: set[str] = set()
    for one in with_some:
        name = re.sub(r"[-_.]+", "-", one.name).lower() if len(with_some) > 1 else ""
        if name not in seen:
            seen.add(name)
            yield one


def names() -> list[str]:
    """The names of all installed providers, those that cannot be loaded included."""
    return list(installed())


def name_of(thing: object) -> str:
    """The provider that an object belongs to, by its module; else its package."""
    module = type(thing).__module__
    found = _containing(module, [one for one, *_ in installed().values()])
    return found.entry.name if found is not None else module.partition(".")[0]


def _containing(module: str, providers: Sequence[Installed]) -> Installed | None:
    """The provider that a module belongs to: that of its entry point, else one of the same package."""

    def has(package: str) -> bool:
        return bool(package) and f"{module}.".startswith(f"{package}.")

    of_module = next((one for one in providers if has(one.module)), None)
    return of_module or next((one for one in providers if has(one.package_name)), None)


def plugin_at_fault(error: BaseException) -> Installed | None:
    """The provider of another distribution that an exception has come through; None if there is none."""
    modules, trace = [], error.__traceback__
    while trace is not None:
        modules.append(str(trace.tb_frame.f_globals.get("__name__", "")))
        trace = trace.tb_next
    plugins = [one for of_name in installed().values() for one in of_name if not one.built_in]
    return next((one for module in reversed(modules) if (one := _containing(module, plugins))), None)


def load(name: str) -> Provider:
    """Import the provider with this name.

    Raises:
        UsageProblem: it does not exist, or cannot be used.
    """
    found = installed().get(name)
    if found is None:
        raise messages.provider_unknown(name, names())
    if len(found) > 1:
        raise messages.provider_twice(name, [one.package for one in found])
    outcome = _imported(name)
    if isinstance(outcome, str):
        raise messages.provider_broken(name, found[0].package, outcome)
    return outcome


@functools.cache
def _imported(name: str) -> Provider | str:
    """The provider, or why it cannot be used. A module that fails is not executed again."""
    if _NAME.fullmatch(name) is None:
        return messages.name_invalid(name)
    value = installed()[name][0].entry.value
    match = _ENTRY.fullmatch(value)
    if match is None:
        return messages.entry_point_malformed(value)
    try:
        found: Any = import_module(match["module"])
    except ModuleNotFoundError as error:
        if error.name is not None and f"{match['module']}.".startswith(f"{error.name}."):
            return messages.no_module(value, error.name)
        return messages.import_failed(error)
    except (SystemExit, GeneratorExit):
        return messages.ends_the_process()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  - a third party's plugin may fail in any way
        return messages.import_failed(error)
    try:
        for attribute in match["object"].split("."):
            found = getattr(found, attribute)
    except AttributeError:
        return messages.no_object(value, match["module"])
    except Exception as error:  # noqa: BLE001  - a module may compute its attributes
        return messages.import_failed(error)
    try:
        return _fault_of(found, name, value) or found
    except Exception as error:  # noqa: BLE001  - the same of an object
        return messages.import_failed(error)


_TEXTS = ("name", "title", "summary")
_MEMBERS = sorted({*Provider.__annotations__, *(one for one in vars(Provider) if not one.startswith("_"))})


_REQUIRED = frozenset(("emulator", "locate", "open", "target"))
"""The methods of `Provider` that have no default, so that inheriting them is not having them."""


def _lacks(found: Any, member: str) -> bool:
    """Whether an object has no such member, or only what it inherits from the interface itself."""
    if getattr(found, member, None) is None:
        return True
    return member in _REQUIRED and getattr(type(found), member, None) is vars(Provider)[member]


def _fault_of(found: Any, name: str, value: str) -> str:
    """Why an object is not a provider; "" if it has all members of one."""
    if isinstance(found, type):
        return messages.is_a_class(value)
    if missing := [one for one in _MEMBERS if _lacks(found, one)]:
        return messages.members_missing(missing)
    methods = [one for one in _MEMBERS if one not in Provider.__annotations__]
    wrong = [one for one in methods if not callable(getattr(found, one))]
    wrong += [one for one in _TEXTS if not isinstance(getattr(found, one), str)]
    options = found.options
    if not isinstance(options, Sequence) or not all(isinstance(one, Option) for one in options):
        wrong.append("options")
    for name_of_texts in ("examples", "hosts", "login_variables"):
        texts = getattr(found, name_of_texts)
        if isinstance(texts, str) or not all(isinstance(one, str) for one in texts):
            wrong.append(name_of_texts)
    if wrong:
        return messages.members_unusable(wrong)
    seen = {*TAKEN}
    for option in options:
        if _OPTION.fullmatch(option.name) is None:
            return messages.option_invalid(option.name)
        if option.name in seen:
            return messages.option_taken(option.name)
        seen.add(option.name)
    return "" if found.name == name else messages.another_name(found.name)


def loaded() -> list[Provider]:
    """All providers that can be used. Those that cannot are skipped, with a warning once a command."""
    found = []
    for name in names():
        try:
            found.append(load(name))
        except UsageProblem as error:
            warn_once(name, messages.skipped(error))
    return found


def unusable() -> dict[str, UsageProblem]:
    """The providers that cannot be used, each with the error."""
    found = {}
    for name in names():
        try:
            load(name)
        except UsageProblem as error:
            found[name] = error
    return found


def accepting(question: Callable[[Provider], bool], what: str) -> list[Provider]:
    """The usable providers that answer a question with yes. One that fails to answer is skipped.

    Args:
        question: asks one.
        what: the question, as a warning names it: `claims`.
    """
    found = []
    for provider in loaded():
        try:
            accepts = question(provider)
        except Exception as error:  # noqa: BLE001  - a third party's plugin may fail in any way
            _warn_that_it_fails(provider, what, error)
            continue
        found += [provider] if accepts else []
    return found


def covers(provider: Provider, target: Any, image: str) -> bool | None:
    """Whether a target's credential can pull an image (`Provider.covers`); None if the provider fails to
    answer.
    """
    try:
        return provider.covers(target, image)
    except Exception as error:  # noqa: BLE001  - a third party's plugin may fail in any way
        _warn_that_it_fails(provider, "covers", error)
        return None


def _warn_that_it_fails(provider: Provider, what: str, error: Exception) -> None:
    failed = messages.provider_broken(
        provider.name, package_of(provider.name), messages.does_not_answer(what, error)
    )
    warn_once(provider.name, messages.skipped(failed))


def claiming(host: str) -> list[Provider]:
    """The usable providers that claim a host, given in lower case and without port."""
    return accepting(lambda one: not one.fallback and one.claims(host), "claims")


def package_of(name: str) -> str:
    """The distribution of a provider; "" if it has none, as in a simulation."""
    found = installed().get(name)
    return found[0].package if found else ""


def labels(providers: Sequence[Provider]) -> list[str]:
    """Providers as a sentence tells them apart: `gcr (pullkey 1.0)`."""
    packages = {one.name: package_of(one.name) for one in providers}
    return [f"{name} ({package})" if package else name for name, package in packages.items()]
