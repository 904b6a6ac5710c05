"""Imports Azure's SDKs beside the first calls: it takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bootstrap.model.codes import Code
from bootstrap.model.errors import UsageProblem


async def imported(imports: Callable[[], None]) -> None:
    """In a thread: it takes long, and others may go on meanwhile."""
    try:
        await asyncio.to_thread(imports)
    except ImportError as error:
        from bootstrap.plugin.installation import install_command

        raise UsageProblem(
            f"Azure's libraries are not installed ({error.name})",
            fix=f"Install them: {install_command('acr')}",
            code=Code.EXTRA_MISSING,
        ) from None


def import_login() -> None:
    import providers.acr._fast_import  # noqa: I001  - before anything of Azure's
    import azure.identity.aio  # noqa: F401
    import providers.acr.http_transport  # noqa: F401


def import_clients() -> None:
    import azure.mgmt.authorization.v2022_04_01.aio
    import azure.mgmt.containerregistry.aio  # noqa: F401
    import msgraph  # noqa: F401

    import providers.acr.graph_models  # noqa: F401
