"""The studies of deep latent Gaussian models, whole, with a few steps on the real data."""

import json
import os
import shlex

import numpy as np
import pytest

from pushforward.cli import main

needs_data = pytest.mark.skipif("PUSHFORWARD_DATA" not in os.environ, reason="PUSHFORWARD_DATA is not set")


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize(
    ("study", "series", "lengths", "cells"),
    [
        pytest.param("rezende-mohamed-figure-4", "planar nice", "0 2", 3, marks=pytest.mark.long),
        pytest.param("rezende-mohamed-table-3", "planar", "2", 1, marks=pytest.mark.long),
        ("amortised-or-static", "'static, plain'", "2", 1),
        pytest.param("posterior-families", "'sylvester, householder'", "", 2, marks=pytest.mark.long),
    ],
)
def test_a_study_has_a_table_and_a_figure_and_goes_on_where_it_was(
    study, series, lengths, cells, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    few = "--steps 5 --images 10 --draws 5 --annealed-images 2 --chains 2 --temperatures 3 --results kept --out study"
    chosen = ["--lengths", *lengths.split()] if lengths else []
    words = ["reproduce", study, "--series", *shlex.split(series), *chosen, *few.split()]
    main(words)
    rows = json.loads((tmp_path / f"kept/{study}.json").read_text())
    assert len(rows) == cells
    for row in rows:
        assert all(np.isfinite(row[name]) for name in ("free_energy", "nll_iwae", "nll_ais", "kl_posterior"))
    table = (tmp_path / f"kept/{study}.md").read_text()
    assert all(f"| {name} |" in table for name in shlex.split(series))
    assert (tmp_path / f"kept/{study}.png").stat().st_size > 10_000
    results = sorted((tmp_path / "study/cells").rglob("result.json"))
    before = [path.stat().st_mtime_ns for path in results]
    main(words)
    assert [path.stat().st_mtime_ns for path in results] == before


def test_families_have_lengths_of_their_own(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", "posterior-families", "--lengths", "2", "--out", str(tmp_path / "study")])
    assert stop.value.code == 2
    assert "each family has its own" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
