"""The checks before a deploy token is created: login, role, scope, project."""

from __future__ import annotations

from collections.abc import Sequence

from bootstrap.model.errors import Problem, PullkeyError, problem_of
from bootstrap.plugin.errors import refused
from bootstrap.plugin.step import Notice, StepRole
from providers.gitlab import messages, messages_login
from providers.gitlab.answers import OWNER, Namespace
from providers.gitlab.api import Gitlab
from providers.gitlab.errors import GitlabApiError
from providers.gitlab.place import Place, known_namespace
from providers.gitlab.target import GitlabTarget


async def problems_of(place: Place, target: GitlabTarget) -> list[Problem]:
    """List what prevents the creation, as far as the access token may look."""
    try:
        namespace, gitlab = await place.namespace(), await place.gitlab()
        return await _problems(namespace, gitlab, target)
    except GitlabApiError as error:
        return [problem_of(refused(error, f"show {target.called}"), step=StepRole.KEY)]
    except PullkeyError as error:
        return [problem_of(error, step=StepRole.KEY)]


async def notices_of(place: Place, target: GitlabTarget) -> list[Notice]:
    if target.kind == "group":
        return [messages.group_is_broad(target.namespace_path or str(target.number))]
    if target.path or target.number:
        return []
    namespace = await known_namespace(place)
    if namespace is None or namespace.path.lower() == target.repository:
        return []
    return [messages.project_of_image(target.repository, namespace.path)]


async def _problems(namespace: Namespace, gitlab: Gitlab, target: GitlabTarget) -> list[Problem]:
    if problem := await _about_role(namespace, gitlab, target):
        return [problem]
    scopes = await gitlab.scopes()
    # A fine-grained token's permissions have other names; a missing one is found at the creation.
    if "read_api" in scopes and "api" not in scopes:
        return [messages_login.scope_missing(_in_words(scopes))]
    if namespace.registry_off:
        return [messages.registry_off(namespace.path, gitlab.instance)]
    return []


async def _about_role(namespace: Namespace, gitlab: Gitlab, target: GitlabTarget) -> Problem | None:
    user, number = await gitlab.user()
    try:
        await gitlab.deploy_tokens(namespace.kind, namespace.number)
    except GitlabApiError as error:
        if error.lacks_scope:
            return messages_login.scope_missing("")
        if not error.forbidden:
            raise
        return messages.role_too_low(target, user, error.summary)
    if namespace.kind != "group" or not number or gitlab.login.is_admin:
        return None
    # A Maintainer sees a group's deploy tokens, and only an Owner creates them; an administrator of the
    # instance may in any role, and a custom role may be allowed to.
    access = await gitlab.access_in_group(namespace.number, number)
    if access is None or access[0] >= OWNER or access[1]:
        return None
    return messages.role_too_low(target, user, f"access level {access[0]}")


def _in_words(scopes: Sequence[str]) -> str:
    return ", ".join(sorted(scopes))
