"""The registry of the sandbox: one Distribution registry with a token service, for all kinds of registries.

`RegistryServer` answers the requests of a puller: `/v2/`, the token service, manifests and blobs by GET and
HEAD, the tags of a repository, the list of repositories. A `RegistryPolicy` implements what differs between
kinds of registries: logins and their permissions, the challenge, codes and texts of errors. The images come
from the sandbox's `ImageStore`; the policy decides who may pull them.

For a registry in `pullkey sandbox`, a provider's emulator supplies a policy with `caller`, an image, a port
with a certificate for the registry's host, and the environment that points pullkey at it.

    from bootstrap.sandbox.host import LOOPBACK
    from bootstrap.sandbox.images import Image
    from bootstrap.sandbox.registry.policy import Caller, RegistryPolicy
    from bootstrap.sandbox.registry.server import RegistryServer

    HOST = "harbor.sandbox.example"

    class HarborPolicy(RegistryPolicy):
        def caller(self, request, login):
            # Harbor gives anyone a token, and refuses the pull.
            known = login is not None and (login.name, login.password) == ("robot$akka", "pull-it")
            return Caller("robot$akka", lambda repository: ("pull",)) if known else Caller()

    class HarborEmulator:
        name = "harbor"

        async def start(self, sandbox):
            await sandbox.images.put(f"{HOST}/shop/checkout", "1.0", Image.build("Hello"))
            server = RegistryServer(HarborPolicy(HOST), sandbox.images, sandbox.gate)
            self.port = await sandbox.serve(server.app, hosts=[HOST])
            return {
                "PULLKEY_REGISTRY_CONNECT_TO": f"{HOST}={LOOPBACK}:{self.port}",
                "PULLKEY_HARBOR_SERVER": HOST,
            }

        async def stop(self):
            pass

`Provider.emulator` returns the class. A policy refuses with `Refusal`, and may override whatever else its
registry does differently; `RegistryPolicy` documents each method. Latency, faults and the log come from the
sandbox's `CallGate`, under the policy's `api` and the methods `Ping`, `GetToken`, `GetManifest`, `GetBlob`,
`ListTags` and `ListRepositories`.
"""
