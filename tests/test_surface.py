"""What completion offers of the public modules is what they are for."""

import inspect
from importlib import import_module

import pytest

import pushforward
from pushforward.bijections import Bijection
from pushforward.errors import UserError, imported

MODULES = (
    "conditional",
    "bijections",
    "contexts",
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


def test_functions_say_what_their_arguments_are():
    """Every public function and method with arguments of its own; methods that a base class documents are left out."""
    silent = []
    for name in MODULES:
        module = import_module(f"pushforward.{name}")
        for offered in module.__all__:
            for path, function in functions_of(offered, getattr(module, offered)):
                names = [parameter for parameter in inspect.signature(function).parameters if parameter != "self"]
                if len(names) > 1 and "Args:" not in (function.__doc__ or ""):
                    silent.append(f"{name}.{path}")
    assert silent == []


def functions_of(name, offered):
    if inspect.isfunction(offered):
        yield name, offered
    elif inspect.isclass(offered):
        inherited = {attribute for base in offered.__mro__[1:] for attribute in vars(base)}
        for attribute, value in vars(offered).items():
            function = inspect.unwrap(getattr(value, "__func__", value))
            if not attribute.startswith("_") and attribute not in inherited and inspect.isfunction(function):
                yield f"{name}.{attribute}", function


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(UserError, match="nothing_such is not installed: get it"):
        imported("nothing_such.part", "get it")
