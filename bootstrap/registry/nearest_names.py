"""The nearest image or repository to one that a registry does not have, as far as the login may list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bootstrap.model.credential import Credential
from bootstrap.model.deadline import Tell, silent
from bootstrap.model.nearest import nearest_or_all
from bootstrap.model.pull import Probe, PullAttempt, Verdict
from bootstrap.registry.answers import answer_within
from bootstrap.registry.challenge import Challenge
from bootstrap.registry.client import SECONDS
from bootstrap.registry.exchange import Exchange, ExchangeSecrets, with_client

# Of a list of repositories; Distribution takes 1,000 at most (`catalog.maxentries`).
_PAGE, _MOST_PAGES = 1000, 5
_LONGEST_NAME = 256
_NEXT_PAGE = re.compile(
    r'\s*<(?:https://[^/>]+)?/v2/(_catalog\?[\x21-\x3d\x3f-\x7e]{1,2000})>\s*;\s*rel="?next"?'
)


async def nearest_image(
    probe: Probe, challenge: Challenge, reader: Credential, *, trace: Tell = silent, seconds: float = SECONDS
) -> str:
    """`Did you mean checkout:1.0?` for an image that does not exist; "" where this login may not list.

    The tags are listed as OCI's Distribution Specification says; the images beside it by `_catalog`
    (Distribution), or as Google's registries do: `tags/list` of a folder has its images as `child`
    (google/go-containerregistry, `pkg/v1/google/list.go`).
    """
    secrets, found = ExchangeSecrets(reader), [""]

    async def look(exchange: Exchange) -> PullAttempt:
        found[0] = await _nearest(exchange, probe, challenge)
        return PullAttempt(Verdict.PULLS)

    await answer_within(seconds, probe.host, secrets.clean, lambda: with_client(probe, secrets, trace, look))
    return found[0]


async def missing_repositories(
    names: Sequence[str],
    probe: Probe,
    challenge: Challenge,
    reader: Credential,
    *,
    trace: Tell = silent,
    seconds: float = SECONDS,
) -> dict[str, str]:
    """Those of some repositories that the registry does not have, each with the nearest that it has, "" where
    it does not say.

    One that this login may not list is not known to be missing.
    """
    secrets, found = ExchangeSecrets(reader), dict[str, str]()

    async def look(exchange: Exchange) -> PullAttempt:
        missing = [name for name in names if await _is_missing(exchange, challenge, name)]
        existing = await _catalog(exchange, challenge) if missing else []
        found.update({name: nearest_or_all(name, existing) for name in missing})
        return PullAttempt(Verdict.PULLS)

    await answer_within(seconds, probe.host, secrets.clean, lambda: with_client(probe, secrets, trace, look))
    return found


async def _nearest(exchange: Exchange, probe: Probe, challenge: Challenge) -> str:
    folder, _, name = probe.repository.rpartition("/")

    async def listed(repository: str, key: str) -> list[str]:
        body = await _read_list(
            exchange, challenge, f"{repository}/tags/list", f"repository:{repository}:pull"
        )
        return _names(body.get(key))

    async def tags(of: str) -> list[str]:
        return await listed(f"{folder}/{of}" if folder else of, "tags")

    if existing := await tags(name):
        return nearest_or_all(f"{name}:{probe.reference}", [f"{name}:{tag}" for tag in existing])
    beside: list[str] = []
    every: list[str] = []
    if folder:
        beside = await listed(folder, "child")
    if not beside:
        prefix = f"{folder}/" if folder else ""
        every = await _catalog(exchange, challenge)
        beside = [one.removeprefix(prefix) for one in every if one.startswith(prefix)]
    import difflib  # late: only error messages need it

    for near in difflib.get_close_matches(name, beside, n=1):
        with_tag = probe.reference in await tags(near)
        return f"Did you mean {near}{f':{probe.reference}' if with_tag else ''}?"
    # The folder may be the one that is mistyped.
    for near in difflib.get_close_matches(probe.repository, every, n=1):
        with_tag = probe.reference in await listed(near, "tags")
        return f"Did you mean {near}{f':{probe.reference}' if with_tag else ''}?"
    return ""


async def _catalog(exchange: Exchange, challenge: Challenge) -> list[str]:
    """The registry's repositories, where this login may list them: the first pages of very many."""
    found: list[str] = []
    path = f"_catalog?n={_PAGE}"
    for _ in range(_MOST_PAGES):
        names, path = await _page_of_catalog(exchange, challenge, path)
        found += names
        if not path:
            break
    return found


async def _page_of_catalog(exchange: Exchange, challenge: Challenge, path: str) -> tuple[list[str], str]:
    """A page of repositories, and the path of the next one, "" after the last.

    The registry names it in `Link` (Distribution, "Pagination"); a link to another place is not followed.
    """
    answer = await exchange.fetch_list(challenge, path, "registry:catalog:*")
    if answer is None or answer.status != 200:
        return [], ""
    body = answer.json()
    following = _NEXT_PAGE.match(answer.headers.get("Link", ""))
    return (
        _names(body.get("repositories")) if isinstance(body, dict) else [],
        following[1] if following else "",
    )


async def _read_list(exchange: Exchange, challenge: Challenge, path: str, scope: str) -> Mapping[str, Any]:
    """The body of a list under `/v2/`; empty where it cannot be read."""
    answer = await exchange.fetch_list(challenge, path, scope)
    body = answer.json() if answer is not None and answer.status == 200 else {}
    return body if isinstance(body, dict) else {}


async def _is_missing(exchange: Exchange, challenge: Challenge, repository: str) -> bool:
    """Whether the registry says that it has no such repository."""
    answer = await exchange.fetch_list(challenge, f"{repository}/tags/list", f"repository:{repository}:pull")
    return answer is not None and answer.status == 404


def _names(listed: object) -> list[str]:
    """The printable names of a sane length in a registry's list."""
    return (
        [one for one in listed if isinstance(one, str) and one.isprintable() and len(one) <= _LONGEST_NAME]
        if isinstance(listed, list)
        else []
    )
