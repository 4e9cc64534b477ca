"""The page of a study of densities of states has every figure, from what the cells hold, and nothing that they lack."""

import copy
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.text import Text
from PIL import Image

from pushforward.drawing.page import Table
from pushforward.drawing.style import DARK
from pushforward.drawing.text import DASH, bound, with_interval
from pushforward.studies.base import run_study
from pushforward.studies.density_of_states import figures
from pushforward.studies.density_of_states.cells import StatesStudy
from pushforward.studies.density_of_states.config import StatesStudyConfig
from pushforward.studies.density_of_states.page import described
from pushforward.studies.page import markdown_table, write_study

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("states-report")]  # its study is made once

FURTHER = ("w1", "states", "states-on-manifold", "volume", "layers")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> StatesStudy:
    """A small grid, whose uniform noise gives the data atoms."""
    folder = tmp_path_factory.mktemp("study")
    return run_study(
        StatesStudyConfig(
            "density-of-states-grid",
            out=folder / "run",
            results=folder / "results",
            manifolds=("segment-smooth-step",),
            dims=(2,),
            noises=("normal", "uniform"),
            variances=(0.0, 0.01, 0.1),
            flows=("nice", "real-nvp"),
            seeds=2,
            steps=4,
            width=4,
        )
    )


def drawn(study: StatesStudy, suffix: str) -> Figure:
    """One of the figures of the study."""
    (drawing,) = [drawing for end, _, _, drawing in described(study).drawings if end == suffix]
    assert drawing is not None
    return drawing.figure()


def with_runs(study: StatesStudy, **changes: object) -> StatesStudy:
    """The study with other entries in every one of its members."""
    runs = copy.deepcopy(study.runs)
    for run in runs:
        for member in run["members"]:
            member |= changes
    return replace(study, runs=runs)


def panels(figure: Figure, title: str) -> list[Axes]:
    """The panels of a column, from the top."""
    (top,) = [axes for axes in figure.axes if axes.get_title().replace("\n", " ").startswith(title)]
    return [axes for axes in figure.axes if axes.get_position().x0 == top.get_position().x0]


def cell(study: StatesStudy, noise: str, variance: float, flow: str) -> dict:
    (found,) = [
        run
        for run in study.runs
        if (run["cell"]["noise"], run["cell"]["variance"], run["cell"]["flow"]) == (noise, variance, flow)
    ]
    return found


def test_page_holds_every_figure(study, capsys):
    report = write_study(study)
    page = report.read_text()
    text = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S))))
    name, folder = study.config.study, Path(study.config.folder)
    assert report == folder / "report.html"
    assert f"report: {report}" in capsys.readouterr().out
    for suffix in ("", *(f"-{further}" for further in FURTHER)):
        assert (folder / f"{name}{suffix}.png").read_bytes() == (
            study.config.results / f"{name}{suffix}.png"
        ).read_bytes()
        with Image.open(folder / f"{name}{suffix}.png") as image:
            assert np.asarray(image.convert("L")).std() > 5
    references = re.findall(r"""(?:src|srcset|href)=["']([^"']{0,30})""", page)
    assert len(references) == 2 * (1 + len(FURTHER))
    assert all(reference.startswith("data:image/") for reference in references)
    assert not re.search(r"\b(nan|None|inf)\b", text.split("Configuration")[0], flags=re.I)
    for row in described(study).table.rows:
        assert " ".join(row) in text
    assert described(study).outcome in text
    assert re.match(r"The lowest KL\(p‖q\) in \d+ settings: [\w-]+ in \d+", described(study).outcome)
    assert study.config.command() in text
    assert not (study.config.results / "report.html").exists()


@pytest.mark.parametrize("suffix", ["", *(f"-{further}" for further in FURTHER)])
def test_labels_are_words_and_numbers(study, suffix):
    figure = drawn(study, suffix)
    figure.draw_without_rendering()
    labels = [text.get_text() for text in figure.findobj(Text) if text.get_visible()]
    assert any("normal" in label for label in labels)
    assert not [label for label in labels if re.search(r"\b(nan|None|inf)\b", label, flags=re.I)]


def test_atoms_are_stems_with_their_masses(study):
    atoms = np.array(cell(study, "uniform", 0.01, "nice")["truth"]["states"]["atoms"])
    large = atoms[atoms[:, 1] > 0.05]
    assert len(large) > 0
    column = panels(drawn(study, "-states"), "smooth-step, uniform D = 2, s² = 0.01")
    stems = [axes for axes in column if axes.collections]
    assert len(stems) == 2
    for axes in stems:
        tops = np.array([segment[1] for collection in axes.collections for segment in collection.get_segments()])
        assert np.isclose(tops, large[:, None]).all(axis=2).any(axis=1).all()
        assert [text.get_text() for text in axes.texts] == [f"{mass:.2f}" for mass in large[:, 1]]
    (legend,) = drawn(study, "-states").legends
    assert [text.get_text() for text in legend.get_texts()] == ["data", "flow"]
    smooth = panels(drawn(study, "-states"), "smooth-step, normal D = 2, s² = 0.01")
    assert not any(axes.collections for axes in smooth)


def test_a_density_of_states_has_its_mass(study):
    """A hundred quantiles leave half a hundredth on both sides; bins of less than 5% would show their noise."""
    column = panels(drawn(study, "-states"), "smooth-step, normal D = 2, s² = 0.1")
    patches = [patch for axes in column for patch in axes.patches if isinstance(patch, StepPatch)]
    assert len(patches) == 8
    for patch in patches:
        values, edges, _ = patch.get_data()
        assert np.sum(values * np.diff(edges)) == pytest.approx(0.99)
    assert column[0].get_ylim()[0] == 0
    assert np.mean(np.concatenate([patch.get_data().values for patch in patches]) < column[0].get_ylim()[1]) > 0.8


def test_what_is_too_narrow_to_see_is_an_atom(study):
    """A base that is all but uniform has a density of states of a million per nat."""
    runs = copy.deepcopy(study.runs)
    law = {"quantiles": [*np.linspace(-1, -1 + 1e-6, 60), *np.linspace(-0.9, 3, 40)], "atoms": []}
    runs[[run["cell"]["variance"] for run in runs].index(0.01)]["members"][0]["states"] = law
    column = panels(drawn(replace(study, runs=runs), "-states"), "smooth-step, normal D = 2, s² = 0.01")
    assert [text.get_text() for axes in column for text in axes.texts] == ["0.60"]
    assert column[0].get_ylim()[1] < 100


def test_volume_changes_are_those_of_the_cells(study):
    for axes, flow in zip(
        panels(drawn(study, "-volume"), "smooth-step, normal D = 2, s² = 0.01"), ("nice", "real-nvp")
    ):
        result = cell(study, "normal", 0.01, flow)
        lines = {line.get_label(): line.get_xydata() for line in axes.lines}
        for name in ("optimal", "actual"):
            wanted = np.stack([result["truth"]["position"], result["members"][0][name]], axis=1)
            np.testing.assert_array_equal(lines[name], wanted)
        assert flow != "nice" or np.ptp(lines["actual"][:, 1]) < 1e-5
        assert np.ptp(lines["optimal"][:, 1]) > 0.1


def test_layers_are_those_of_the_cells(study):
    axes = panels(drawn(study, "-layers"), "smooth-step, uniform D = 2, s² = 0.1")[1]
    means = cell(study, "uniform", 0.1, "real-nvp")["members"][0]["layers"][1:]
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == len(means) == 10]
    np.testing.assert_array_equal(line.get_ydata(), np.array(means)[:, 0])


def test_distances_are_those_of_the_table(study):
    figure = drawn(study, "-w1")
    plain, per_dim, _ = panels(figure, "smooth-step, uniform")
    rows = [row for row in described(study).rows if row["noise"] == "uniform" and row["flow"] == "nice" and row["w1"]]
    for axes, divisor in ((plain, 1), (per_dim, 2)):
        (line,) = [each.lines[0] for each in axes.containers if each.get_label() == "nice"]
        np.testing.assert_allclose(line.get_ydata(orig=False), [row["w1"] / divisor for row in rows])


def test_what_no_cell_holds_is_not_drawn(study):
    """Cells without noise have no density; seeds that diverged have no numbers, and the next seed is drawn."""
    bare = [run for run in study.runs if run["cell"]["variance"] == 0]
    rows = [row for row in described(study).rows if row["variance"] == 0]
    assert figures.volume_changes(rows, bare) is figures.layers(rows, bare) is None
    assert figures.densities(rows, bare, "states") is None
    lost = with_runs(study, kl=None, w1=None, w1_centred=None, kl_on_manifold=None, nll=None, optimal=None, actual=None)
    assert [end for end, _, _, drawing in described(lost).drawings if drawing is None] == ["-volume", "-layers"]
    for end in ("", "-w1"):
        assert drawn(lost, end).axes
    assert {row[-1] for row in described(lost).table.rows} == {"0 of 2"}
    second = copy.deepcopy(study)
    result = cell(second, "normal", 0.01, "real-nvp")
    result["members"][0]["actual"] = None
    axes = panels(drawn(second, "-volume"), "smooth-step, normal D = 2, s² = 0.01")[1]
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), result["members"][1]["actual"])


def test_table_says_what_varies(study):
    table, rows = described(study).table, described(study).rows
    assert table.columns[:6] == ["manifold", "flow", "noise", "s²", "d", "D"]
    assert table.text_columns == 3
    for cells, row in zip(table.rows, rows):
        shown = dict(zip(table.columns, cells))
        if row["variance"] == 0:
            assert shown["KL(p‖q)"] == shown["deflation"] == shown["VP bound"] == DASH
        else:
            low, high = row["kl_interval"]
            assert low < row["kl"] < high
            assert shown["KL(p‖q)"] == with_interval(row["kl"], (low, high))
            assert shown["KL/D"] == with_interval(row["kl"] / 2, (low / 2, high / 2))
            assert (shown["deflation"] == DASH) == (row["noise"] == "uniform")
        bits = float(shown["bits/dim"].split(" ")[0].replace("\N{MINUS SIGN}", "-"))
        assert bits == pytest.approx(row["nll"] / 2 / np.log(2), rel=1e-2)
    other = replace(study, runs=copy.deepcopy(study.runs))
    other.runs[0]["cell"]["diagonal"] = "none"
    assert described(other).table.columns[2:4] == ["diagonal", "noise"]


def test_what_varies_is_across_the_axis():
    rows = [
        {
            "manifold": "circle",
            "noise": "normal",
            "dim": 4,
            "variance": v,
            "base": "normal",
            "diagonal": d,
            "manifold_dim": 1,
            "flow": "nice",
            "kl": 0.1,
            "kl_std_error": None,
            "bound": 0.01,
            "w1": 0.2,
            "w1_std_error": 0.01,
            "w1_centred": 0.1,
            "w1_centred_std_error": None,
        }
        for v in (0.01, 0.03)
        for d in ("matched", "fixed", "none")
    ]
    figure = figures.divergences(rows).figure(DARK)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [f"circle, normal\nD = 4, s² = {v}" for v in (0.01, 0.03)]
    assert [label.get_text() for label in shown[0].get_xticklabels()] == ["matched", "fixed", "none"]
    assert shown[0].get_xlabel() == "diagonal"
    ticks = figures.distances([row for row in rows if row["diagonal"] == "none"]).figure().axes[-1]
    assert [label.get_text() for label in ticks.get_xticklabels()] == ["$10^{-2}$", "0.03"]


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (1.23456, (1.21, 1.26), "1.235 [1.210, 1.260]"),
        (-0.5, (-1.0, 0.0), "\N{MINUS SIGN}0.50 [\N{MINUS SIGN}1.00, 0.00]"),
        (0.284, None, "0.2840"),
        (0.284, (0.284, 0.284), "0.2840"),
        (0.284, (0.0, float("inf")), "0.2840"),
        (None, (0.0, 1.0), None),
        (float("nan"), (0.0, 1.0), None),
    ],
)
def test_number_with_interval(value, interval, expected):
    assert with_interval(value, interval) == expected


def test_a_bar_in_a_cell_does_not_end_it():
    lines = markdown_table(Table(["flow", "KL(q|p)"], [["a|b", "1"]], text_columns=1))
    assert lines == ["| flow | KL(q\\|p) |", "|---|---:|", "| a\\|b | 1 |"]


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.000304, 0.0, 0.000304, "< 0.000304"),
        (0.0001, -0.0001, 0.0003, "< 0.0003"),
        (0.1184, 0.1178, 0.1190, "0.11840 [0.11780, 0.11900]"),
        (np.inf, np.inf, np.inf, None),
        (None, np.nan, np.nan, None),
    ],
)
def test_a_bound_whose_interval_reaches_0_is_not_a_number_above_it(value, low, high, text):
    assert bound(value, low, high) == text
