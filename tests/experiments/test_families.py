"""Settings of each family of flows: held to the recipes, carried from flow to flow, read from files of before."""

import inspect
from dataclasses import fields, replace

import pytest

from pushforward import flows
from pushforward.errors import UserError
from pushforward.experiments.config import from_yaml, to_yaml, values_of
from pushforward.experiments.families import FAMILIES, SETTINGS, Affine, Family, Masked, Planar, Splines
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.train.config import TrainConfig


@pytest.mark.parametrize("name", flows.RECIPES)
def test_settings_and_defaults_are_those_of_the_recipe(name):
    parameters = inspect.signature(flows.RECIPES[name]).parameters
    known = {setting: parameters[setting].default for setting in SETTINGS if setting in parameters}
    assert {f.name: f.default for f in fields(FAMILIES[name])} == known


def test_settings_follow_the_flow():
    config = FitConfig(flow="real_nvp", settings=Affine(width=32, scale=1.0))
    assert FitConfig(flow="maf").settings == Masked()
    assert replace(FitConfig(), flow="nsf_coupling").settings == Splines()
    assert replace(config, length=3).settings == config.settings
    assert config.with_flow("nsf_coupling").settings == Splines(width=32)
    assert config.with_flow("radial").settings == Family()
    with pytest.raises(UserError, match="planar has no --width; it has --initialisation"):
        replace(config, flow="planar")
    with pytest.raises(UserError, match="radial has no --initialisation; it has no settings"):
        FitConfig(flow="radial", settings=Planar(initialisation="plain"))


@pytest.mark.parametrize(
    "config",
    [
        FitConfig(target="u1", flow="real_nvp", settings=Affine(width=32)),
        TrainConfig(data="wine", flow="nsf_coupling", settings=Splines(bins=4, mixing="lu")),
        TrainConfig(data="wine", flow="radial"),
    ],
)
def test_files_are_read_as_written(config):
    assert from_yaml(to_yaml(config), "config.yaml") == config
    assert "settings" not in values_of(config)


def test_files_of_before_named_the_settings_of_all_families():
    text = "experiment: fit\ntarget: u1\nflow: real_nvp\nlength: 4\nwidth: 32\nbins: null\nrank: null\n"
    assert from_yaml(text, "here") == FitConfig(target="u1", flow="real_nvp", length=4, settings=Affine(width=32))
    with pytest.raises(UserError, match="real_nvp has no --bins"):
        from_yaml(text.replace("bins: null", "bins: 3"), "here")


def test_a_command_names_what_is_not_the_default_of_the_flow():
    config = FitConfig(target="u1", flow="real_nvp", settings=Affine(width=32))
    assert config.command() == "pushforward fit u1 --flow real_nvp --width 32"
    assert FitConfig(target="u1", flow="maf").command() == "pushforward fit u1 --flow maf"
