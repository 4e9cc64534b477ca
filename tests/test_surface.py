"""What completion offers of the public modules is what they are for."""

import inspect
from importlib import import_module

import pytest

import pushforward
from pushforward.bijections import Bijection

MODULES = (
    "amortize",
    "bijections",
    "data",
    "dequantize",
    "distributions",
    "drawing",
    "evaluation",
    "flows",
    "manifolds",
    "models",
    "nets",
    "objectives",
    "stability",
    "states",
    "supports",
    "targets",
    "training",
)


@pytest.mark.parametrize("name", MODULES)
def test_modules_offer_their_own_names_only(name):
    module = import_module(f"pushforward.{name}")
    assert dir(module) == sorted(module.__all__)
    for offered in module.__all__:
        assert not offered.startswith("_")
        owner = getattr(getattr(module, offered), "__module__", module.__name__)
        assert owner == "typing" or owner.startswith("pushforward.")


def test_every_recipe_is_offered():
    assert set(pushforward.flows.RECIPES) <= set(dir(pushforward.flows))


def test_help_shows_types_by_name():
    shown = str(inspect.signature(pushforward.flows.planar)) + str(inspect.signature(Bijection.forward))
    assert "key: PRNGKeyArray" in shown
    assert "x: Numbers" in shown
