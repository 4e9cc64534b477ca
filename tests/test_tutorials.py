"""The tutorials, as `make docs` runs them; what they assert holds."""

import pytest

from tutorials import SOURCES, TUTORIALS, executed


def test_every_tutorial_is_run():
    assert {path.stem for path in SOURCES.glob("*.py")} == set(TUTORIALS)


@pytest.mark.long
@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorial_runs_and_makes_no_noise(name):
    notebook = executed(name)
    said = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert said
    assert not [output for output in said if output.output_type == "error"]
    warned = [output.text for output in said if output.output_type == "stream" and output.name == "stderr"]
    assert not [text for text in warned if "Warning" in text]
    assert max(len(output.text.splitlines()) for output in said if output.output_type == "stream") < 60
