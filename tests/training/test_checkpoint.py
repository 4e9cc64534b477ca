"""Checkpoints: what is kept, and what is refused."""

import resource

import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.training import CheckpointError, Checkpoints
from tests.checks import assert_same


def state(value=0):
    return {"w": jnp.full((2, 3), float(value)), "count": jnp.asarray([1, 2]), "none": None}


def test_the_newest_is_kept_and_those_asked_for(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=[30, 10])
    assert checkpoints.steps() == []
    for step in (5, 10, 20, 30, 40):
        checkpoints.save(step, state(step))
    again = Checkpoints(tmp_path / "checkpoints")
    assert again.steps() == [10, 30, 40]
    for step in again.steps():
        assert_same(again.restore(step, state()), state(step))
    assert again.restore(40, state())["count"].dtype == state()["count"].dtype


def test_when_a_checkpoint_is_due(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=[30, 10], every_seconds=1e6)
    assert [checkpoints.next_kept(step) for step in (0, 9, 10, 29, 30)] == [10, 10, 30, 30, None]
    assert [step for step in range(40) if checkpoints.due(step)] == [10, 30]
    assert Checkpoints(tmp_path, every_seconds=-1).due(1)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({**state(), "extra": jnp.zeros(2)}, r"another model: \['extra'\] is missing"),
        ({**state(), "w": jnp.zeros((2, 4))}, r"another model: \['w'\] has shape \(2, 3\).*not shape \(2, 4\)"),
        ({**state(), "count": jnp.zeros(2)}, r"another model: \['count'\] has .*dtype int32, not .*float32"),
    ],
)
def test_a_foreign_model_is_refused_by_leaf(tmp_path, template, message):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(7, state())
    with pytest.raises(CheckpointError, match=message):
        checkpoints.restore(7, template)


def test_a_missing_step_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(7, state())
    with pytest.raises(CheckpointError, match=r"cannot read the checkpoint .*8"):
        checkpoints.restore(8, state())


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"{" * len(data)], ids=["emptied", "garbled"])
def test_a_broken_file_is_refused(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(7, state())
    for path in (tmp_path / "checkpoints" / "7").rglob("*"):
        if path.is_file():
            path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"cannot read the checkpoint .*7"):
        checkpoints.restore(7, state())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(tmp_path / "file" / "checkpoints")
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint of step 3: .*there is no checkpoint"):
        checkpoints.save(3, state())


@pytest.fixture
def full_disk():
    """A context in which no file of this process may grow beyond 4 KiB."""

    class FullDisk:
        def __enter__(self):
            self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, self.limits[1]))

        def __exit__(self, *_):
            resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)

    return FullDisk()


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, full_disk):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    noise = jnp.asarray(np.random.default_rng(0).normal(size=100_000))
    checkpoints.save(1, noise)
    with full_disk, pytest.raises(CheckpointError, match=r"cannot write the checkpoint of step 2: .*checkpoints/1$"):
        checkpoints.save(2, noise + 1)
    assert checkpoints.steps() == [1]
    np.testing.assert_array_equal(checkpoints.restore(1, noise), noise)
    checkpoints.save(3, noise + 2)
    assert checkpoints.steps() == [3]
