"""The initial state of the emulated Docker Hub: a small company, and other users' tokens that must survive.

The passwords are examples, and documented: `sandbox-password`.
"""

from __future__ import annotations

import datetime as dt

from bootstrap.sandbox.host import Sandbox
from bootstrap.sandbox.images import Image
from providers.docker_hub.emulator.state import HubState, Oat, Organization, Pat, User
from providers.docker_hub.target import REGISTRY

USER = "acmebot"
OWNER = "acmeowner"
CAREFUL = "acmecareful"
ORGANIZATION = "acme"
PASSWORD = "sandbox-password"
IMAGE = "acme/checkout"
TAG = "1.0"
_AGE = dt.timedelta(days=30)


def seeded_state(sandbox: Sandbox) -> HubState:
    """A member, an owner and a member with a second factor; one organisation; private and public
    repositories.
    """
    past = sandbox.now() - _AGE
    state = HubState(sandbox)
    for name in (USER, OWNER, CAREFUL, "stranger"):
        state.users[name] = User(name, PASSWORD, second_factor=name == CAREFUL)
    state.users[USER].tokens += [
        Pat("laptop", ("repo:admin",), past),
        Pat("CI build", ("repo:write",), past, expires=past + dt.timedelta(days=365)),
        # From another run of pullkey, for another target.
        Pat("pullkey 0123456789ab: Akka pulls with it", ("repo:read",), past),
    ]
    state.users[CAREFUL].tokens.append(Pat("laptop", ("repo:read",), past))
    state.organizations[ORGANIZATION] = Organization(ORGANIZATION, owners={OWNER}, members={USER, CAREFUL})
    everything = [{"type": "TYPE_REPO", "path": "acme/*", "scopes": ["scope-image-push"]}]
    state.organizations[ORGANIZATION].tokens.append(Oat("deploy", OWNER, everything, past))
    state.repositories |= {
        IMAGE: True,
        "acme/cart": True,
        "acme/website": False,
        "stranger/notes": True,
        "library/hello-world": False,
    }
    return state


async def put_images(state: HubState, sandbox: Sandbox) -> None:
    """Store one image in every repository; official ones also get the tag `latest`."""
    for path in state.repositories:
        image = Image.build(f"Hello from {path}\n")
        await sandbox.images.put(f"{REGISTRY}/{path}", TAG, image)
        if path.startswith("library/"):
            await sandbox.images.put(f"{REGISTRY}/{path}", "latest", image)
