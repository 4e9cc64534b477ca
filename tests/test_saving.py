"""Flows in files: the same after reading, and refused when altered or foreign."""

import json
import zipfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pushforward
from pushforward import flows
from pushforward.distributions import Mixture, Normal, StudentT
from pushforward.errors import UserError
from pushforward.saving import FORMAT, VERSION

KEY = jax.random.key(0)


@pytest.mark.parametrize("name", [name for name in flows.RECIPES if name != "glow"])
def test_every_recipe_is_read_as_written(name, tmp_path):
    flow = flows.RECIPES[name](KEY, 3, 2)
    read = pushforward.load(pushforward.save(flow, tmp_path / "flow.pf"))
    assert jax.tree.structure(read) == jax.tree.structure(flow)
    x, log_prob = read.sample_and_log_prob(KEY, (5,))
    expected = flow.sample_and_log_prob(KEY, (5,))
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(log_prob, expected[1])


def test_images_mixtures_and_double_precision(tmp_path, x64):
    for flow in (
        flows.glow(KEY, (4, 4, 1), 1, width=4),
        Mixture(jnp.zeros(2), Normal(jnp.zeros((2, 3)), jnp.zeros((2, 3)))),
        StudentT.standard(2, trained=True),
    ):
        read = pushforward.load(pushforward.save(flow, tmp_path / "flow.pf"))
        assert eqx.tree_equal(read, flow)


def rewritten(path, change):
    """The file with another `structure.json`."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(contents["structure.json"])
    change(header, contents)
    contents["structure.json"] = json.dumps(header).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def another_number(header, contents):
    contents["0.npy"] = contents["0.npy"][:-1] + bytes([contents["0.npy"][-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (another_number, "it was altered after it was written"),
        (lambda header, _: header.update(version=VERSION + 1), f"of version {VERSION + 1}, this package reads"),
        (lambda header, _: header.update(format="other"), "it is of another program"),
        (lambda header, _: header["structure"].update({"class": "os:system"}), "it was altered"),
    ],
)
def test_altered_files_are_refused(change, message, tmp_path):
    path = pushforward.save(flows.planar(KEY, 2, 1), tmp_path / "flow.pf")
    rewritten(path, change)
    with pytest.raises(UserError, match=message):
        pushforward.load(path)


def test_foreign_files_and_parts_are_refused(tmp_path):
    (tmp_path / "text").write_text("no flow")
    with pytest.raises(UserError, match="not a flow that"):
        pushforward.load(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("structure.json", json.dumps({"format": FORMAT, "version": 1, "structure": {}, "sha256": ""}))
    with pytest.raises(UserError, match="altered"):
        pushforward.load(tmp_path / "other.zip")
    with pytest.raises(UserError, match="cannot be saved"):
        pushforward.save(flows.nice(KEY, 2, 1, activation=lambda x: x), tmp_path / "flow.pf")
    with pytest.raises(UserError, match="not of this package"):
        pushforward.save(eqx.nn.Linear(2, 2, key=KEY), tmp_path / "flow.pf")
    assert not (tmp_path / "flow.pf").exists()


def test_names_of_classes_of_others_are_not_made(tmp_path):
    """Even where the digest is right."""
    from pushforward.saving import _digest

    path = pushforward.save(flows.planar(KEY, 2, 1), tmp_path / "flow.pf")

    def change(header, contents):
        header["structure"]["class"] = "subprocess:Popen"
        files = [contents[f"{index}.npy"] for index in range(len(contents) - 1)]
        header["sha256"] = _digest(header["structure"], files)

    rewritten(path, change)
    with pytest.raises(UserError, match="it names a class of subprocess"):
        pushforward.load(path)
