"""Compiled programs on disk, and how many a process holds."""

import os
import subprocess
import sys
from itertools import pairwise

import jax
import jax.numpy as jnp
import pytest
from optax import sgd

from pushforward import flows, programs
from pushforward.programs import memory_maps
from pushforward.studies.base import Cells, measure
from pushforward.training import ensemble, fit

PROGRAM = """
from pushforward.programs import check_kept_programs, keep_programs
keep_programs()
import jax
counts = {}
jax.monitoring.register_event_listener(lambda event, **_: counts.update({event: counts.get(event, 0) + 1}))
float(jax.jit(lambda x: 3 * x)(1.0))
print(counts.get("/jax/compilation_cache/cache_hits", 0), check_kept_programs())
"""


@pytest.fixture
def said(tmp_path):
    """What PROGRAM says in a process of its own, with a cache folder of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}

    def run(**given):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=environment | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)} | given,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split(maxsplit=1)

    return run


def test_a_second_process_reads_the_programs_of_the_first(said, tmp_path):
    assert said() == ["0", "None\n"]
    assert said() == ["1", "None\n"]
    assert said(JAX_ENABLE_COMPILATION_CACHE="false") == ["0", "None\n"]
    elsewhere = tmp_path / "elsewhere"
    assert said(JAX_COMPILATION_CACHE_DIR=str(elsewhere)) == ["0", "None\n"]
    assert elsewhere.is_dir()


def test_where_kept_programs_are_not_taken_back_none_is_kept(said, tmp_path):
    """As where JAX rejects them all: what is in the files cannot be read."""
    said()
    kept = list(tmp_path.rglob("*-cache"))
    assert kept
    for file in kept:
        file.write_bytes(b"of another processor")
    hits, words = said()
    assert hits == "0"
    assert "none is kept from now on" in words
    for file in kept:
        file.unlink()
    assert said() == ["0", "None\n"]
    assert not list(tmp_path.rglob("*-cache"))


def unlike(cell):
    """A cell with a program of its own."""
    return {"total": float(jax.jit(lambda x: jnp.sum(jnp.sin(cell * x @ x.T)))(jnp.ones((2 + cell, 3))))}


@pytest.mark.long
@pytest.mark.skipif(not programs.LIMIT_OF_MAPS.is_file(), reason="memory maps are counted on Linux only")
def test_a_study_of_200_unlike_cells_does_not_run_out_of_memory_maps(tmp_path, monkeypatch):
    """The limit is set to 100 maps above what is there."""
    jax.clear_caches()
    most = memory_maps() + 100
    limit = tmp_path / "max_map_count"
    limit.write_text(str(2 * most))
    monkeypatch.setattr(programs, "LIMIT_OF_MAPS", limit)
    counts = []
    for cell in range(200):
        measure(Cells.one(tmp_path / f"{cell}.json", {}, f"{__name__}:unlike", cell))
        counts.append(memory_maps())
    assert max(counts) <= most
    assert any(after < before for before, after in pairwise(counts))


def test_a_fit_drops_programs_once_the_process_holds_half_of_the_memory_maps(monkeypatch):
    """Some dozens of fits in one process of a user would else end in a crash."""
    kept = jax.jit(lambda x: x + 1)
    kept(1.0)
    models = ensemble(lambda key: flows.planar(key, 2, 1), jax.random.key(0), 1)

    def trained():
        fit(
            models,
            lambda flow, key, step: jnp.sum(flow.base.loc**2),
            key=jax.random.key(0),
            steps=1,
            optimizer=sgd(0.1),
        )

    trained()
    assert kept._cache_size() == 1
    monkeypatch.setattr(programs, "memory_maps", lambda: 10**9)
    trained()
    assert kept._cache_size() == 0
