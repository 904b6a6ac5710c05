"""The routes of the OCI distribution API that pullers use, for any `RegistryPolicy`.

Sources: "OCI Distribution Specification" (manifests, blobs, "Listing Tags"); the Distribution project's "HTTP
API V2" (`_catalog`, pagination) and "Token Authentication Specification".
"""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from bootstrap.sandbox.calls import CallGate, Handler, RestApi, form_fields
from bootstrap.sandbox.images import ImageStore
from bootstrap.sandbox.registry.answers import API_VERSION, CATALOG, Refusal, basic_login
from bootstrap.sandbox.registry.policy import RegistryPolicy


class RegistryServer:
    """One registry with its token service.

    Attributes:
        app: the application for `Sandbox.serve`. Registry and token service share one port.
    """

    def __init__(self, policy: RegistryPolicy, images: ImageStore, gate: CallGate) -> None:
        self._policy = policy
        self._images = images
        self.app = web.Application()
        gate.recognise(policy.login_of)
        api = RestApi(gate, policy.api, policy.error, self.app)

        def route(verb: str, path: str, method: str, handler: Handler) -> None:
            guarded = self._guarded(handler)
            api.route(verb, path, method, guarded, changes=False, resource=policy.resource)

        for verb in ("GET", "HEAD") if policy.answers_head else ("GET",):
            route(verb, "/v2/", "Ping", self._ping)
            route(verb, policy.token_path, "GetToken", self._token)
            if policy.has_catalog:
                route(verb, "/v2/_catalog", "ListRepositories", self._catalog)
            route(verb, "/v2/{name:.+}/tags/list", "ListTags", self._tags)
        for verb in ("GET", "HEAD"):
            route(verb, "/v2/{name:.+}/manifests/{reference}", "GetManifest", self._manifest)
            route(verb, "/v2/{name:.+}/blobs/{digest}", "GetBlob", self._blob)
        if policy.takes_forms:
            route("POST", policy.token_path, "GetToken", self._token_by_form)
        for one in policy.routes():
            route(*one)

    def _guarded(self, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                self._policy.admit(request)
                return await handler(request)
            except Refusal as refusal:
                return refusal.response

        return answer

    async def _token(self, request: web.Request) -> web.Response:
        caller = self._policy.caller(request, basic_login(request))
        query = request.query
        issued = self._policy.issue(request, caller, query.getall("scope", []), query.get("service"))
        return web.json_response(issued, headers=self._policy.headers)

    async def _token_by_form(self, request: web.Request) -> web.Response:
        form = await form_fields(request)
        caller = self._policy.caller_by_form(request, form)
        issued = self._policy.issue(request, caller, form.get("scope", "").split(), form.get("service"))
        return web.json_response(issued, headers=self._policy.headers)

    async def _ping(self, request: web.Request) -> web.Response:
        self._policy.authorize(request, None)
        return web.json_response({}, headers=API_VERSION)

    async def _catalog(self, request: web.Request) -> web.Response:
        """The list of repositories, in pages of `n` from after `last` ("Listing Repositories",
        "Pagination").
        """
        self._policy.authorize(request, CATALOG)
        asked = request.query.get("n", str(self._policy.page))
        if not asked.isdecimal() or int(asked) < 1:
            message = "invalid number of results requested"
            raise self._policy.refusal(400, "PAGINATION_NUMBER_INVALID", message)
        most = min(int(asked), self._policy.page)
        found = await self._images.below(self._policy.host)
        rest = [name for name in found if name > request.query.get("last", "")]
        response = web.json_response({"repositories": rest[:most]}, headers=self._policy.headers)
        if len(rest) > most:
            response.headers["Link"] = (
                f'</v2/_catalog?last={quote(rest[most - 1], safe="")}&n={most}>; rel="next"'
            )
        return response

    async def _tags(self, request: web.Request) -> web.Response:
        repository = self._policy.repository(request, request.match_info["name"])
        listed = await self._policy.tags(self._images, repository)
        if listed is None:
            raise self._policy.unknown_repository(request, repository)
        return web.json_response(listed, headers=self._policy.headers)

    async def _manifest(self, request: web.Request) -> web.Response:
        repository = self._policy.repository(request, request.match_info["name"])
        reference = request.match_info["reference"]
        response = await self._images.manifest(repository.stored, reference, head=request.method == "HEAD")
        if response.status == 404 and (refusal := self._policy.unknown_manifest(request, reference)):
            raise refusal
        return response

    async def _blob(self, request: web.Request) -> web.Response:
        repository = self._policy.repository(request, request.match_info["name"])
        digest = request.match_info["digest"]
        return await self._images.blob(repository.stored, digest, head=request.method == "HEAD")
