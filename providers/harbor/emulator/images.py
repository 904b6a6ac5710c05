"""The repositories and artifacts of Harbor's API.

Source: goharbor/harbor, src/server/v2.0/handler/repository.go and artifact.go: a list takes `repository:list`
and `artifact:list`, and a repository's name is unescaped a second time.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from aiohttp import web

from bootstrap.sandbox.images import ImageStore
from providers.harbor.emulator.answers import HarborError, page_of
from providers.harbor.emulator.state import Caller, HarborState, Project, stamp


class Images:
    """The handlers of `/api/v2.0/projects/{name}/repositories`."""

    def __init__(self, state: HarborState, images: ImageStore) -> None:
        self._state = state
        self._images = images

    async def list_repositories(self, request: web.Request, caller: Caller) -> web.Response:
        project = self._project(request, caller, "repository:list")
        names = await self._images.below(f"{self._state.host}/{project.name}")
        rows: list[dict[str, Any]] = [
            {
                "id": number,
                "project_id": project.number,
                "name": f"{project.name}/{name}",
                "artifact_count": len(await self._tags(f"{project.name}/{name}")),
                "pull_count": 0,
                "creation_time": self._now,
                "update_time": self._now,
            }
            for number, name in enumerate(names, 1)
        ]
        return page_of(request, rows)

    async def list_artifacts(self, request: web.Request, caller: Caller) -> web.Response:
        """One for each tag; of a repository that does not exist there are none."""
        project = self._project(request, caller, "artifact:list")
        repository = f"{project.name}/{unquote(request.match_info['repository'])}"
        rows = [
            {
                "id": number,
                "type": "IMAGE",
                "project_id": project.number,
                "repository_id": 1,
                "repository_name": repository,
                "push_time": self._now,
                "tags": [{"id": number, "repository_id": 1, "artifact_id": number, "name": tag}],
            }
            for number, tag in enumerate(await self._tags(repository), 1)
        ]
        return page_of(request, rows)

    def _project(self, request: web.Request, caller: Caller, permission: str) -> Project:
        project = self._state.project(request.match_info["name"], is_name=True)
        if project is not None and self._state.may(caller, project, permission):
            return project
        if not caller.known:
            raise HarborError("UNAUTHORIZED", "unauthorized")
        if project is None and caller.user is not None and caller.user.sysadmin:
            raise HarborError("NOT_FOUND", f"project {request.match_info['name']} not found")
        raise HarborError("FORBIDDEN", "forbidden")

    async def _tags(self, repository: str) -> list[str]:
        return await self._images.tags(f"{self._state.host}/{repository}") or []

    @property
    def _now(self) -> str:
        return stamp(self._state.sandbox.now())
