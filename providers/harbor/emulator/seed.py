"""The initial content of the emulated Harbor: a small company's projects, and robot accounts of others.

The password is fictitious, and is listed in the documentation: `Sandbox-password-1`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from bootstrap.sandbox.host import Sandbox
from bootstrap.sandbox.images import Image
from providers.harbor.emulator.state import HarborState

HOST = "harbor.sandbox.example"
PASSWORD = "Sandbox-password-1"
ADMIN = "admin"
USER = "jo"
"""An administrator of the project `shop`."""
DEVELOPER = "kim"
PROJECT = "shop"
IMAGE = f"{PROJECT}/checkout"
TAG = "1.0"
_AGE = dt.timedelta(days=30)


def pull_from(project: str, *more: str) -> list[dict[str, Any]]:
    """The permissions of a robot account that may pull from a project, and further ones."""
    access = [dict(zip(("resource", "action"), one.split(":"), strict=True)) for one in more]
    pull = {"resource": "repository", "action": "pull"}
    return [{"kind": "project", "namespace": project, "access": [pull, *access]}]


def seeded_state(sandbox: Sandbox) -> HarborState:
    """An administrator, an administrator of one project, a developer; private projects and a public one."""
    state = HarborState(sandbox, HOST)
    state.add_user(ADMIN, PASSWORD, sysadmin=True)
    for name in (USER, DEVELOPER, "stranger"):
        state.add_user(name, PASSWORD)
    shop = state.add_project(PROJECT, {USER: "projectAdmin", DEVELOPER: "developer"})
    press = state.add_project("press", {DEVELOPER: "projectAdmin"})
    state.add_project("library", {USER: "projectAdmin"}, public=True)
    state.add_robot(f"{PROJECT}+ci", "project", shop.number, -1, pull_from(PROJECT), age=_AGE)
    # Of another run of pullkey, for another purpose.
    state.add_robot(
        f"{PROJECT}+pullkey-0123456789ab", "project", shop.number, 365, pull_from(PROJECT), age=_AGE
    )
    state.add_robot("press+mirror", "project", press.number, 90, pull_from("press"), age=_AGE)
    state.add_robot("backup", "system", 0, -1, pull_from("*"), age=_AGE)
    return state


async def put_images(sandbox: Sandbox) -> None:
    """Put one image into each project."""
    for name in (IMAGE, "press/site", "library/tools"):
        await sandbox.images.put(f"{HOST}/{name}", TAG, Image.build(f"Hello from {name}\n"))
