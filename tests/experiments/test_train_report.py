"""The report of a flow trained on data is whole, readable on its own, and honest about what is missing."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pushforward.cli import main
from pushforward.data import Dataset
from pushforward.drawing.data import column_pairs
from pushforward.drawing.images import image_grids
from pushforward.drawing.style import DARK, LIGHT
from pushforward.drawing.text import DASH, number
from pushforward.drawing.training import training_curve
from pushforward.experiments.families import Affine
from pushforward.experiments.runs import open_run, start_run
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.train.report import write_report
from pushforward.experiments.train.run import TrainRun
from pushforward.experiments.train.terminal import print_train
from pushforward.experiments.train.training import run_train

pytestmark = pytest.mark.slow

RUNS = {
    "moons": TrainConfig(
        data="moons",
        size=500,
        flow="real_nvp",
        length=2,
        settings=Affine(width=8),
        steps=30,
        validate_every=10,
        restarts=2,
    ),
    "wine": TrainConfig(data="wine", flow="maf", length=1, settings=Affine(width=8), steps=20, validate_every=5),
    "digits": TrainConfig(
        data="digits", flow="real_nvp", length=1, settings=Affine(width=4), steps=3, validate_every=1, batch_size=16
    ),
}


def trained(config: TrainConfig, folder: Path) -> Path:
    """The folder of a finished run whose report is written."""
    run = start_run(config, folder, force=False)
    run_train(run, quiet=True)
    assert write_report(run) == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of each of `RUNS`, trained once, on demand."""
    parent = tmp_path_factory.mktemp("runs")

    def folder(name: str) -> Path:
        return parent / name if (parent / name).exists() else trained(RUNS[name], parent / name)

    return folder


def changed(source: Path, folder: Path, **changes: object) -> TrainRun:
    """A copy of a run whose result has other entries."""
    folder.mkdir()
    for name in ("config.yaml", "data.json", "metrics.jsonl"):
        (folder / name).write_bytes((source / name).read_bytes())
    (folder / "checkpoints").symlink_to(source / "checkpoints")
    result = {**json.loads((source / "result.json").read_text()), **changes}
    (folder / "result.json").write_text(json.dumps(result))
    run = open_run(folder)
    assert isinstance(run, TrainRun)
    return run


def words(folder: Path) -> str:
    """What a reader sees of a report, without styles and images."""
    page = re.sub(r"<style>.*?</style>", "", (folder / "report.html").read_text(), flags=re.S)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def dataset(rows: np.ndarray, columns: tuple[str, ...]) -> Dataset:
    """A data set with the same rows to train on, to validate and to test."""
    rows = rows.astype(np.float32)
    return Dataset("made", rows, rows, rows, columns)


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("moons", {"densities", "samples", "layers", "states", "loss"}),
        ("wine", {"samples", "marginals", "states", "loss"}),
        ("digits", {"samples", "states", "loss"}),
    ],
)
def test_pictures_are_there_and_not_blank(folders, name, pictures):
    files = list((folders(name) / "figures").iterdir())
    assert {path.stem for path in files} == pictures
    for path in files:
        with Image.open(path) as image:
            assert 1100 < image.width < 1700
            assert 300 < image.height < 1400
            assert np.asarray(image.convert("L")).std() > 5


@pytest.mark.parametrize("name", list(RUNS))
def test_page_needs_nothing_else(folders, name):
    page = (folders(name) / "report.html").read_text()
    references = re.findall(r"""(?:src|srcset|href)=["']([^"']{0,30})""", page)
    assert len(references) == 2 * len(list((folders(name) / "figures").iterdir()))
    assert all(reference.startswith("data:image/") for reference in references)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


@pytest.mark.parametrize("name", list(RUNS))
def test_page_says_every_number(folders, name):
    result, text = open_run(folders(name)).result, words(folders(name))
    values = {key: value for key, value in result.items() if isinstance(value, int | float)}
    for key, value in values.items():
        if not key.endswith("_std_error"):
            shown = number(value, result.get(f"{key}_std_error"))
            assert (f"{value:,}" if isinstance(value, int) else shown) in text, key
    assert all(number(value) in text for value in result["restarts"])
    assert all(warning in text for warning in result["warnings"])
    assert result["command"] in text
    assert not re.search(r"\b(nan|None|inf)\b", text, flags=re.I)


@pytest.mark.parametrize("name", list(RUNS))
def test_terminal_says_every_number(folders, name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    run = open_run(folders(name))
    print_train(run, run.folder / "report.html")
    printed, result = capsys.readouterr().out, run.result
    floats = {key: value for key, value in result.items() if isinstance(value, float)}
    for key in floats.keys() - {"seconds", "steps_per_second"}:
        assert f"{floats[key]:.4f}" in printed, key
    assert f"best step {result['best_step']:,} of {result['steps']:,}" in printed
    assert f"{result['seconds']:.1f} s" in printed
    assert all(f"warning: {warning}" in printed for warning in result["warnings"])
    assert printed.rstrip().endswith(f"report: {run.folder / 'report.html'}")


def test_missing_numbers_are_dashes_with_reasons(folders, tmp_path, capsys):
    absent = dict.fromkeys([key for key in open_run(folders("moons")).result if re.search("likelihood|kl|gain", key)])
    run = changed(folders("moons"), tmp_path / "poor", **absent, restarts=[None, None], best_step=0)
    print_train(run, write_report(run))
    text = words(run.folder)
    assert text.count(DASH) == 7 + 2
    assert text.count("or a number overflowed") == 7
    assert "50 rows that were held out is not finite" in text
    assert "as it was before training" in text
    assert not re.search(r"\b(nan|None|inf)\b", text, flags=re.I)
    assert capsys.readouterr().out.count("not finite") == 7


def test_bits_that_are_missing_are_a_dash(folders, tmp_path):
    source = json.loads((folders("digits") / "result.json").read_text())
    poor = {key: None for key in source if key.startswith("test_")}
    run = changed(folders("digits"), tmp_path / "poor", **poor)
    write_report(run)
    assert words(run.folder).count(f"{DASH} not finite") == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kl_to_truth": 0.05, "kl_to_truth_std_error": 0.01}, "The flow is close to the true density of moons"),
        ({"kl_to_truth": 0.05, "kl_to_truth_std_error": 0.03}, "cannot tell the flow from the true density of moons"),
        ({"kl_to_truth": 3.0, "kl_to_truth_std_error": 0.1}, "The flow is far from the true density of moons"),
        ({"train_log_likelihood": 9.0}, "A sign of overfitting"),
        ({"train_log_likelihood": -99.0}, "No sign of overfitting"),
        ({"test_log_likelihood_std_error": None}, "Whether the flow is overfitted cannot be told"),
        ({"best_step": 30}, "since step 20: more steps may help"),
        ({"best_step": 10}, "The flow is that of step 10 of 30, where the validation loss was lowest. "),
        ({"best_step": 10, "steps": 20}, "Training stopped early: 30 were allowed."),
    ],
)
def test_verdict(folders, tmp_path, changes, sentence, monkeypatch):
    run = changed(folders("moons"), tmp_path / "run", **changes)
    monkeypatch.setattr("pushforward.experiments.train.report._drawings", lambda run: [])
    write_report(run)
    assert sentence in words(run.folder)


def test_diverged_restarts_are_warned_of(folders, tmp_path, capsys):
    divergences = [{"step": 7, "leaf": ".base.loc"}, None]
    run = changed(folders("moons"), tmp_path / "run", divergences=divergences, best_restart=1, warnings=["[b]odd[/b]"])
    records = [{**record, "loss": [None, 1.0], "validation": [None, 1.0]} for record in run.metrics]
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    print_train(run, write_report(run))
    assert "1 of 2 restarts diverged: restart 0 at step 7 (.base.loc)" in words(run.folder)
    printed = capsys.readouterr().out
    assert "diverged: 0 at step 7 (.base.loc)" in printed
    assert "warning: [b]odd[/b]" in printed


def test_data_that_have_changed_are_refused(folders, tmp_path, capsys):
    run = changed(folders("wine"), tmp_path / "run")
    described = json.loads((run.folder / "data.json").read_text())
    (run.folder / "data.json").write_text(json.dumps({**described, "sha256": "0"}))
    with pytest.raises(SystemExit):
        main(["report", str(run.folder)])
    assert "has changed" in capsys.readouterr().err
    assert not (run.folder / "report.html").exists()


@pytest.mark.parametrize(
    ("dim", "pictures"), [(1, {"density", "states", "loss"}), (2, {"densities", "samples", "layers", "states", "loss"})]
)
def test_files_of_few_columns(tmp_path, dim, pictures):
    rows = np.random.default_rng(0).normal(size=(60, dim)) * 1e7
    header = ",".join(["cost in $ per $", "<b>year</b>"][:dim])
    np.savetxt(tmp_path / "mine.csv", rows, delimiter=",", header=header, comments="")
    folder = trained(TrainConfig(data=str(tmp_path / "mine.csv"), flow="planar", length=2, steps=5), tmp_path / "run")
    assert {path.stem for path in (folder / "figures").iterdir()} == pictures


def test_columns_of_pairs_are_scaled_and_named():
    rows = np.random.default_rng(0).normal(size=(300, 5)) * [1, 1e6, 1e-5, 30, 1]
    columns = "a", "mean of a rather long column", "tiny", "$x$", "left out"
    figure = column_pairs(dataset(rows, columns), rows).figure()
    assert len(figure.axes) == 16
    named = [axes.get_xlabel() for axes in figure.axes[-4:]]
    assert named == ["a", "mean …olumn / 10⁶", "tiny / 10⁻⁵", r"\$x\$"]
    for axes in figure.axes:
        assert max(np.abs(axes.get_xlim())) < 1000


@pytest.mark.parametrize("style", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("channels", "count"), [(1, 5), (3, 70)])
def test_images_in_grey_and_colour(style, channels, count):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 4, (count, 6, 9, channels), dtype=np.uint8)
    points = generator.normal(size=(64, 6, 9, channels))
    points[0] = np.nan
    figure = image_grids(images, points, 4).figure(style)
    for axes in figure.axes:
        shown = np.asarray(axes.images[0].get_array())
        assert shown.shape == (8 * 7 - 1, 8 * 10 - 1, 4)
        assert set(np.unique(shown)) <= {0, 1 / 3, 2 / 3, 1}
    first = np.asarray(figure.axes[0].images[0].get_array())[:6, :9, :3]
    np.testing.assert_allclose(first, np.broadcast_to(images[0] / 3, (6, 9, 3)))


def test_training_curve_marks_the_best_step():
    steps = np.array([10, 20, 30])
    training = np.array([[3.0, 4.0], [2.0, np.nan], [1.0, np.nan]])
    validation = np.array([[3.5, 4.5], [2.5, np.nan], [2.8, np.nan]])
    axes = training_curve(steps, training, validation, 0, 20).figure().axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation", "best step: 20"]
    np.testing.assert_array_equal(axes.lines[-1].get_xydata(), [[20, 2.5]])
    low, high = axes.get_ylim()
    assert low < 1 < 4.5 < high


def test_samples_that_are_not_finite_or_far_away_are_left_out():
    rows = np.random.default_rng(0).normal(size=(300, 3))
    far = Dataset("made", *np.float32([rows, rows, 1e9 * rows]), ("a", "b", "c"))
    figure = column_pairs(far, np.where(rows > 1, np.nan, 1e30)).figure()
    assert not np.isnan([patch.get_height() for patch in figure.axes[0].patches if hasattr(patch, "get_height")]).any()
