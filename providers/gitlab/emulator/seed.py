"""The initial content of the emulated instances: a small company's projects, and other users' tokens that
must never be deleted.

The access tokens are fictitious, and are listed in the documentation: `glpat-sandbox-maintainer`.
"""

from __future__ import annotations

from bootstrap.sandbox.host import Sandbox
from bootstrap.sandbox.images import Image
from providers.gitlab.address import SAAS_REGISTRY
from providers.gitlab.emulator.state import DEVELOPER, MAINTAINER, OWNER, GitlabState

IMAGE = "acme/shop/checkout"
PROJECT = "acme/shop"
TAG = "1.0"
MAINTAINER_TOKEN = "glpat-sandbox-maintainer"
OWNER_TOKEN = "glpat-sandbox-owner"
DEVELOPER_TOKEN = "glpat-sandbox-developer"
READ_TOKEN = "glpat-sandbox-reads-only"
ACCESS_TOKENS = (MAINTAINER_TOKEN, OWNER_TOKEN, DEVELOPER_TOKEN, READ_TOKEN)
OWN_HOST = "git.sandbox.example"
OWN_REGISTRY = f"{OWN_HOST}:5050"
ELSEWHERE = "images.elsewhere.example"
"""The registry of the company's own instance under a name of another owner."""


def gitlab_com(sandbox: Sandbox) -> GitlabState:
    return _seeded(GitlabState(sandbox, "gitlab.com", SAAS_REGISTRY))


def own_instance(sandbox: Sandbox) -> GitlabState:
    """With a relative URL root, and its registry on a port of its own."""
    return _seeded(GitlabState(sandbox, OWN_HOST, OWN_REGISTRY, root="/gitlab", aliases=(ELSEWHERE,)))


def _seeded(state: GitlabState) -> GitlabState:
    state.add_user("sam", MAINTAINER_TOKEN, acme=MAINTAINER)
    state.add_user("olga", OWNER_TOKEN, acme=OWNER)
    state.add_user("dan", DEVELOPER_TOKEN, acme=DEVELOPER)
    state.add_user("rita", READ_TOKEN, "read_api", "read_registry", acme=MAINTAINER)
    group = state.add_group("acme")
    state.add_group("acme/web")
    shop = state.add_project(PROJECT)
    for path in ("acme/web/Site", "acme/empty", "stranger/notes"):
        state.add_project(path)
    state.add_project("acme/website", public=True)
    state.add_deploy_token(shop, "CI", "read_registry", "write_registry")
    state.add_deploy_token(shop, "on a server", "read_registry", username="shop-server")
    # Of another run of pullkey, for another purpose.
    state.add_deploy_token(
        shop, "pullkey 0123456789ab 2026-01-01T00:00:00Z: Akka pulls with it", "read_registry"
    )
    state.add_deploy_token(group, "all of acme", "read_registry")
    return state


async def put_images(state: GitlabState, sandbox: Sandbox) -> None:
    """One image in each repository: a project's own, and those below it."""
    for path in (IMAGE, "acme/shop", "acme/web/site/nginx", "acme/website", "stranger/notes"):
        await sandbox.images.put(f"{state.registry}/{path}", TAG, Image.build(f"Hello from {path}\n"))
