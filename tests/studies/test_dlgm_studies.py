"""The studies of deep latent Gaussian models, whole, with a few steps on the real data."""

import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pushforward.cli import main
from pushforward.drawing.text import MINUS
from pushforward.experiments.dlgm.config import DlgmConfig
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.studies.base import Lost, Study
from pushforward.studies.dlgm import AMORTISED
from pushforward.studies.dlgm.cells import Cell
from pushforward.studies.dlgm.page import described, described_families

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


def a_run(tmp_path, free_energy):
    """As a trained and evaluated model is on the disk."""
    folder = tmp_path / f"{free_energy}"
    folder.mkdir()
    measures = {"free_energy": free_energy, "nll_iwae": free_energy - 3.0, "kl_posterior": 3.0}
    result = {
        **measures,
        **{f"{name}_std_error": 0.25 for name in measures},
        "active_units": 40,
        "best_step": 1_000,
        "seconds": 1_800.0,
        "command": "pushforward train dlgm-mnist",
        "evaluations": {"iwae": {"draws": 500, "points": 10_000}},
    }
    run = DlgmRun(folder, DlgmConfig())
    run.write_result(result)
    return run


@pytest.mark.parametrize("page", [described, described_families])
def test_runs_that_diverge_stay_in_the_table(tmp_path, page):
    lost = Lost(Path("x"), 1_234, "flow.u")
    cells = [
        Cell("no flow", 0, a_run(tmp_path, 93.0)),
        Cell("amortised", 10, a_run(tmp_path, 91.0)),
        Cell("static, plain", 10, lost),
        Cell("no flow", 0, a_run(tmp_path, 94.0)),
        Cell("amortised", 10, lost),
        Cell("static, plain", 10, replace(lost, step=77)),
    ]
    said = page(Study(AMORTISED.config, cells))
    plain, amortised, static = said.table.rows
    assert plain[:4] == ["no flow", "0", "2", "93.50 ± 0.50"]
    assert amortised[:4] == ["amortised", "10", "1", "91.00 ± 0.25"]
    assert amortised[-2:] == ["1,000, diverged at 1,234 in flow.u", "0.50"]
    assert static[2:] == ["0", *["—"] * 5, "diverged at 1,234 in flow.u, diverged at 77 in flow.u", "—"]
    assert said.rows[2]["diverged"] == [{"step": 1_234, "leaf": "flow.u"}, {"step": 77, "leaf": "flow.u"}]
    assert said.hours == 1.5
    assert said.outcome.startswith(f"The lowest {MINUS}log p(x) by IWAE is 88.00 ± 0.25, amortised of K = 10: 2.5")
