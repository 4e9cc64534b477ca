"""What completion offers of the public modules is what they are for."""

import pytest

import pushforward

MODULES = ("amortize", "dequantize", "flows", "nets", "objectives")


@pytest.mark.parametrize("name", MODULES)
def test_modules_offer_their_own_names_only(name):
    module = getattr(pushforward, name)
    assert dir(module) == sorted(module.__all__)
    for offered in module.__all__:
        assert not offered.startswith("_")
        assert getattr(getattr(module, offered), "__module__", module.__name__) in (module.__name__, "typing")


def test_every_recipe_is_offered():
    assert set(pushforward.flows.RECIPES) <= set(dir(pushforward.flows))
