"""Azure: which registry a name, host or resource id means, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from bootstrap.model.errors import UsageProblem
from bootstrap.testing.harness.world import World
from providers.acr.target import AcrTarget


def serve(world: World, name: str, **how: Any) -> dict[str, str]:
    """A registry more, and the environment that leads to it."""
    registry = world.cloud.state.add_registry(name, world.cloud.state.subscriptions[0], **how)
    port = world.running.call(world.cloud.serve_registry(registry))
    hosts = [registry.login_server, *registry.regional_hosts]
    return {"PULLKEY_REGISTRY_CONNECT_TO": ",".join(f"{host}=127.0.0.1:{port}" for host in hosts)}


def test_a_registry_with_a_domain_name_label_is_never_shown_under_another_host(acr: World) -> None:
    env = serve(acr, "acmelabel", domain_name_label="a1b2c3")
    planned = acr.run("plan", "acr", "--registry", "acmelabel", env=env)
    done = acr.onboard("--registry", "acmelabel", "--output", "json", env=env)
    assert done.code == 0, done.text
    assert "acmelabel.azurecr.io" not in planned.text
    for text in (done.out, acr.run("list", "--output", "json", env=env).out):
        assert "acmelabel.azurecr.io" not in text
        assert "acmelabel-a1b2c3.azurecr.io" in text


class TestTwoOfOneName:
    def test_a_name_is_a_question(self, acr: World) -> None:
        for group, label in (("shop", "aaaa11"), ("ops", "bbbb22")):
            serve(acr, "acmetwin", resource_group=group, domain_name_label=label)
        refused = acr.onboard("--registry", "acmetwin")
        assert refused.code == 3, refused.text
        for text in ("acmetwin-aaaa11.azurecr.io", "acmetwin-bbbb22.azurecr.io", "shop", "ops"):
            assert text in refused.text

    def test_a_host_is_an_answer(self, acr: World) -> None:
        serve(acr, "acmetwin", resource_group="shop", domain_name_label="aaaa11")
        env = serve(acr, "acmetwin", resource_group="ops", domain_name_label="bbbb22")
        done = acr.onboard("--registry", "acmetwin-bbbb22.azurecr.io", env=env)
        assert done.code == 0, done.text
        assert acr.held("acmetwin-azurecr-io").server == "acmetwin-bbbb22.azurecr.io"


class TestRegionalEndpoints:
    HOST = "acmegeo.westeurope.geo.azurecr.io"

    def test_it_is_the_server_that_akka_is_given(self, acr: World) -> None:
        env = serve(acr, "acmegeo", sku="Premium", regional_endpoints=True)
        done = acr.onboard("--registry", self.HOST, env=env)
        assert done.code == 0, done.text
        (name,) = acr.names()
        assert acr.held(name).server == self.HOST
        assert acr.run("list", "--check", env=env).code == 0
        gone = acr.run("offboard", name, "--yes", env=env)
        assert gone.code == 0, gone.text

    def test_it_has_a_secret_of_its_own(self) -> None:
        regional, whole = (AcrTarget.parse({"registry": one}) for one in (self.HOST, "acmegeo"))
        assert regional.secret_name != whole.secret_name
        assert regional.lock_key != whole.lock_key

    def test_an_image_of_it(self) -> None:
        target = AcrTarget.parse({"registry": f"{self.HOST}/checkout:1.0"})
        assert (target.name, target.repository, target.reference) == ("acmegeo", "checkout", "1.0")

    def test_a_data_endpoint_is_answered_with_the_registry(self) -> None:
        with pytest.raises(UsageProblem) as refused:
            AcrTarget.parse({"registry": "acmegeo.westeurope.data.azurecr.io"})
        assert "data endpoint" in refused.value.what
        assert "acmegeo.azurecr.io" in refused.value.fix


class TestMistyped:
    @pytest.mark.parametrize("spelling", ["acmeshp", "acmeshp.azurecr.io", "acmeshp.azurecr.io/checkout:1.0"])
    def test_a_near_name_is_offered(self, acr: World, spelling: str) -> None:
        refused = acr.onboard("--registry", spelling)
        assert refused.code == 3, refused.text
        assert "Did you mean acmeshop?" in refused.text
        assert "lacks the permission" not in refused.text

    @pytest.mark.parametrize(("old", "new"), [("acmeshop", "acmeshp"), ("/shop/", "/shpo/")])
    def test_a_resource_id_too(self, acr: World, old: str, new: str) -> None:
        identity = acr.cloud.state.registry("acmeshop").id
        refused = acr.onboard("--registry", new.join(identity.rsplit(old, 1)))
        assert refused.code == 3, refused.text
        assert "Did you mean" in refused.text
        assert "acmeshop" in refused.text.partition("Did you mean")[2]
