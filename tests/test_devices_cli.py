"""`--devices` and `--accumulate` on the command line."""

import json

import numpy as np
import pytest

from pushforward.cli.exits import USER_ERROR
from pushforward.cli.main import main
from pushforward.experiments.runs import METRICS

FIT = ("fit", "u2", "--length", "2", "--restarts", "1", "--steps", "40", "--samples", "1000", "--frames", "0")
TRAIN = ("train", "moons", "--flow", "maf", "--length", "1", "--steps", "40", "--validate-every", "20")
INFER = ("infer", "examples/two_moons.py:simulator", "--simulations", "200", "--steps", "20", "--members", "1")


def losses(folder):
    return np.array([json.loads(line)["loss"] for line in (folder / METRICS).read_text().splitlines()])


@pytest.mark.long
@pytest.mark.parametrize("command", [FIT, TRAIN, INFER], ids=lambda command: command[0])
def test_every_command_divides_its_batches(tmp_path, command):
    for name, words in (("one", ()), ("all", ("--devices", "all")), ("two", ("--devices", "2"))):
        main([*command, *words, "--out", str(tmp_path / name)])
    assert "devices" not in (tmp_path / "all" / "config.yaml").read_text(), "they are not what a run is"
    for name in ("all", "two"):
        np.testing.assert_allclose(losses(tmp_path / "one"), losses(tmp_path / name), rtol=1e-3)


@pytest.mark.long
def test_parts_of_a_batch_are_a_setting_of_the_run(tmp_path):
    main([*TRAIN, "--batch-size", "64", "--accumulate", "4", "--out", str(tmp_path / "run")])
    assert "accumulate: 4" in (tmp_path / "run" / "config.yaml").read_text()
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert "--accumulate 4" in result["command"]
    assert np.isfinite(result["test_log_likelihood"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((*FIT, "--devices", "9"), "--devices 9: there are 1 to 2"),
        ((*FIT, "--devices", "0"), "--devices 0: there are 1 to 2"),
        ((*FIT, "--accumulate", "3"), "--batch-size 256 cannot be divided into 3 equal parts"),
        (("fit", "funnel", "--devices", "2"), "--devices is for one flow"),
        ((*TRAIN, "--coordinator", "x:1"), "are for --distributed"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_a_line(tmp_path, capsys, words, complaint):
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--out", str(tmp_path / "run")])
    assert exit_.value.code == USER_ERROR
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert complaint in line
    assert not (tmp_path / "run").exists()
