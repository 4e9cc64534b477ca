"""What surrounds the package says the same as the package."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from rattler_build import Stage0Recipe

import pushforward

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def recipe():
    """The one for conda, rendered."""
    (variant,) = Stage0Recipe.from_file(str(ROOT / "conda-recipe/recipe.yaml")).render()
    return variant.recipe.to_dict()


def test_one_version(recipe):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == recipe["package"]["version"] == pushforward.__version__
    assert f"## {pushforward.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_recipe_has_every_dependency_in_its_version(recipe):
    """By the names that conda-forge has them under, for the Pythons that it has: 3.12 and newer."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = [each.partition(";")[0].strip() for each in project["dependencies"] if "python_version < " not in each]
    wanted = dict(re.fullmatch(r"([\w-]+)(?:\[\w+\])?([<>=.,\d]+)", each).groups() for each in plain)
    found = dict((*each.split(), "")[:2] for each in recipe["requirements"]["run"])
    found["matplotlib"] = found.pop("matplotlib-base")
    assert found == wanted | {"python": ">=3.12", "tqdm": ""}  # pooch[progress]


@pytest.mark.slow
def test_the_examples_are_typed_for_who_uses_the_package():
    """Pyright sees the package's own types through `py.typed`."""
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "examples"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
