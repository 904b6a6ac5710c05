"""Azure: an image that is not there is found with the operator's own login, before anything is created."""

from __future__ import annotations

import pytest

from bootstrap.testing.harness.world import World
from tests.harness.azure_state import NAME, cloud_picture

KINDS = [(), ("--auth-kind", "token")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image", ["checkout:no-such-tag", "no-such-repository:1.0"])
def test_nothing_is_created_for_an_image_that_is_not_there(
    acr: World, kind: tuple[str, ...], image: str
) -> None:
    before = cloud_picture(acr)
    refused = acr.onboard("--image", f"acmeshop.azurecr.io/{image}", *kind)
    assert refused.code == 3, refused.text
    assert image in refused.text
    assert cloud_picture(acr) == before
    assert acr.cloud.state.registry("acmeshop").tokens == {}
    assert acr.changes() == []


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_there_is_pulled(acr: World, kind: tuple[str, ...]) -> None:
    done = acr.onboard("--image", "acmeshop.azurecr.io/checkout:1.0", *kind)
    assert done.code == 0, done.text


@pytest.mark.parametrize(
    "fault",
    [
        "registry.ExchangeToken=401*forever",
        "registry.ExchangeToken=html*forever",
        "registry.ExchangeToken=reset*forever",
        "registry.ExchangeToken=types*forever",
        "registry.ExchangeToken=404*forever",
    ],
)
def test_where_the_login_does_not_pull_the_run_goes_on(acr: World, fault: str) -> None:
    acr.fault(fault)
    done = acr.onboard("--image", "acmeshop.azurecr.io/checkout:1.0")
    assert done.code == 0, done.text


def test_a_key_that_is_there_needs_no_look(acr: World) -> None:
    assert acr.onboard("--image", "acmeshop.azurecr.io/checkout:1.0").code == 0
    again = acr.onboard("--image", "acmeshop.azurecr.io/checkout:gone", "--output", "json")
    assert again.code == 0, again.text
    assert again.json["result"] == "unchanged"
    assert acr.held(NAME).server == "acmeshop.azurecr.io"
