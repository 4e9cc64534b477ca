"""A kind of run and a study are added by a line each: the program trains, resumes, reports and lists them."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

import pushforward
from pushforward.cli import main
from pushforward.errors import UserError
from pushforward.experiments import registry
from pushforward.experiments.runs import open_run
from pushforward.studies.base import trained, trained_or_lost
from pushforward.studies.registry import STUDIES, study
from tests.experiments.toy_kind import KIND, ToyStudyConfig


@pytest.fixture(autouse=True)
def toy(monkeypatch, tmp_path):
    monkeypatch.setitem(registry.KINDS, "toy", "tests.experiments.toy_kind")
    monkeypatch.setitem(STUDIES, "toy-study", "tests.experiments.toy_kind:STUDY")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_kind_is_trained_reported_listed_and_resumed(toy, capsys):
    main(["train", "toy", "--rate", "0.3", "--out", "run"])
    assert "mean 3" in capsys.readouterr().out
    run = pushforward.open_run("run")
    assert run.config.command() == "pushforward train toy --rate 0.3"
    assert float(run.model.log_prob([3.0])) > float(run.model.log_prob([0.0]))
    mean = run.result["mean"]

    (toy / "run/report.html").unlink()
    main(["report", "run"])
    assert (toy / "run/report.html").read_text() == f"mean {mean:.3f}"

    (toy / "run/result.json").unlink()
    main(["train", "--resume", "run"])
    assert json.loads((toy / "run/result.json").read_text())["mean"] == mean

    main(["sample", "run", "-n", "5", "--out", "run/five.csv"])
    assert len((toy / "run/five.csv").read_text().splitlines()) == 6
    capsys.readouterr()
    main(["list", "presets"])
    main(["list", "studies"])
    listed = capsys.readouterr().out
    assert "train: a toy" in listed
    assert "A toy." in listed


def test_its_mistakes_are_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "toy", "--rate", "0"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "pushforward: --rate must be positive and finite, got 0.0\n"


def test_a_cell_that_diverges_is_told_of_and_ends_no_other(toy):
    """It is not tried again, unless it is trained by itself."""
    config = ToyStudyConfig("toy-study", out=toy / "study")
    cells = {name: replace(KIND.presets["toy"], rate=rate) for name, rate in {"bad": 1e30, "good": 0.1}.items()}
    bad, good = trained_or_lost(config, cells, None)
    assert good.finished
    assert (bad.folder, str(bad)) == (toy / "study/cells/bad", f"diverged at step {bad.step:,} in {bad.leaf}")
    assert 0 < bad.step < 40
    assert bad.leaf
    saved = toy / "study/cells/bad/diverged.json"
    assert json.loads(saved.read_text()) == {"step": bad.step, "leaf": bad.leaf}

    before = saved.stat().st_mtime_ns
    assert trained_or_lost(config, cells, None)[0] == bad
    assert saved.stat().st_mtime_ns == before
    with pytest.raises(UserError, match=f"bad diverged at step {bad.step} in"):
        trained(config, cells, None)
    with pytest.raises(UserError, match="bad holds another run"):
        trained_or_lost(config, {"bad": replace(cells["bad"], seed=1)}, None)
    with pytest.raises(UserError, match="not finite at step"):
        open_run(bad.folder).train(quiet=True)
    assert saved.stat().st_mtime_ns > before


def test_a_study_is_reproduced_and_goes_on_where_it_was(toy):
    main(["reproduce", "toy-study", "--out", "study"])
    table = json.loads((toy / "study/toy-study.json").read_text())
    assert [row["rate"] for row in table] == [0.01, 0.3]
    assert "pushforward reproduce toy-study" in (toy / "study/toy-study.md").read_text()
    kept = (toy / "study/cells/0.01/result.json").stat().st_mtime_ns
    shutil.rmtree(toy / "study/cells/0.3")
    main(["reproduce", "toy-study", "--out", "study"])
    assert (toy / "study/cells/0.01/result.json").stat().st_mtime_ns == kept
    assert json.loads((toy / "study/toy-study.json").read_text()) == table


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_is_what_its_line_says(name):
    kind = study(name)
    assert kind.config.study == name
    assert callable(registry.resolve(kind.cells))
    assert callable(registry.resolve(kind.page))


@pytest.mark.parametrize("name", list(registry.KINDS))
def test_every_kind_is_what_its_line_says(name):
    kind = registry.kind(name)
    assert name == kind.config.KIND
    for part in (kind.run, kind.train, kind.report, kind.show):
        assert callable(registry.resolve(part))
    assert set(kind.presets) == set(kind.summaries)
    for preset in kind.presets.values():
        replace(preset, **{preset.SUBJECT: getattr(preset, preset.SUBJECT) or "u1"}).check()


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="unknown experiment 'fut'; did you mean 'fit'"):
        registry.kind("fut")
    with pytest.raises(UserError, match="unknown study 'vp-bounds'; did you mean 'vp-bound'"):
        study("vp-bounds")


def test_what_all_kinds_share_knows_none_of_them():
    """Importing the bases imports no kind and no study, and settings import nothing that takes long."""
    script = """
import sys
import pushforward.experiments.runs, pushforward.experiments.session, pushforward.studies.base, pushforward.drawing.page
loaded = [name for name in sys.modules if name.startswith(("pushforward.experiments.", "pushforward.studies."))]
print(sorted(loaded))
"""
    light = "import sys, pushforward.cli; print(sorted({'jax', 'numpy', 'matplotlib', 'rich'} & set(sys.modules)))"
    environment = os.environ | {"XLA_FLAGS": ""}
    outputs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout
        for code in (script, light)
    ]
    shared = {"cluster", "config", "families", "files", "locks", "registry", "runs", "session", "work"}
    expected = {f"pushforward.experiments.{name}" for name in shared}
    expected |= {f"pushforward.studies.{name}" for name in ("base", "config", "registry")}
    assert set(eval(outputs[0])) == expected
    assert outputs[1].strip() == "[]"
