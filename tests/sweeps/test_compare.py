"""`pushforward report RUN RUN ...`."""

import shlex

import pytest

from pushforward.cli import main
from tests.test_cli import SMALL, run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compared")]  # its runs are made once


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two runs that differ in their length."""
    folder = tmp_path_factory.mktemp("compared")
    for name, length in (("short", 1), ("long", 4)):
        main(["fit", "u1", *SMALL, "--frames", "0", "--length", str(length), "--out", str(folder / name)])
    return folder


@pytest.fixture
def runs(made, monkeypatch):
    monkeypatch.chdir(made)
    return made


def test_a_page_with_the_best_run_first_and_what_differs(runs, capsys):
    code, out, _ = run(capsys, "report", "short", "long")
    assert code == 0
    assert out.splitlines()[-1] == "runs/comparison/report.html"
    page = (runs / "runs/comparison/report.html").read_text()
    assert "<title>short and long</title>" in page
    assert page.count("<tr") > 5
    assert "length" in page
    assert {path.name for path in (runs / "runs/comparison/figures").iterdir()} == {"measure.png", "losses.png"}
    assert run(capsys, "report", "short", "long")[0] == 0  # replaces itself


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "give the folder of a run"),
        ("short nowhere", "nowhere is not a run"),
        ("short short", "the same run is given twice"),
        ("short long --out short", "short holds something else"),
        ("short --out page", "--out is for a comparison"),
    ],
)
def test_what_cannot_be_compared(runs, capsys, words, complaint):
    code, out, err = run(capsys, "report", *shlex.split(words))
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1
