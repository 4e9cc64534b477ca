"""`pushforward train` and what reads its runs, with real, small data."""

import json
import os
import re
import shlex
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pushforward
from pushforward.experiments.runs import open_run
from tests.test_cli import contents, folder, run

__all__ = ["folder"]

SMALL = shlex.split("--flow maf --length 2 --width 8 --depth 1 --steps 60 --batch-size 32 --validate-every 20")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a finished run on 300 points of the moons, in `run`."""
    folder = tmp_path_factory.mktemp("trained")
    from pushforward.cli import main

    main(["train", "moons", "--size", "300", *SMALL, "--out", str(folder / "run")])
    return folder


@pytest.mark.slow
def test_a_run_can_be_reread(trained):
    result = json.loads((trained / "run/result.json").read_text())
    assert result["steps"] == 60
    assert result["best_step"] in (20, 40, 60)
    for name in ("test", "validation", "train"):
        assert np.isfinite(result[f"{name}_log_likelihood"])
        assert result[f"{name}_log_likelihood_std_error"] > 0
    np.testing.assert_allclose(
        result["kl_to_truth"], result["true_log_likelihood"] - result["test_log_likelihood"], atol=1e-5
    )
    reread = open_run(trained / "run")
    assert [record["step"] for record in reread.metrics] == [20, 40, 60]
    command = shlex.split(result["command"])
    assert command[:3] == ["pushforward", "train", "moons"]
    assert set(command) > {"--size", "300", *SMALL}
    # What was chosen by the data is said too, so that the command makes the same run.
    assert {"--base", "normal", "--start", "whitened", "--average-decay"} < set(command)
    test = jnp.asarray(reread.dataset.test)
    assert len(test) == 30
    np.testing.assert_allclose(reread.flow.log_prob(test).mean(), result["test_log_likelihood"], rtol=1e-4)
    assert (trained / "run/report.html").is_file()


@pytest.mark.slow
def test_load(trained):
    flow = pushforward.load(trained / "run")
    x, log_prob = flow.sample_and_log_prob(jax.random.key(0), (10,))
    np.testing.assert_allclose(flow.log_prob(x), log_prob, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_export_can_be_checked_with_numpy_alone(trained, capsys):
    code, out, _ = run(capsys, "export", trained / "run", "--n", 50)
    assert code == 0
    arrays = np.load(out.strip())
    assert arrays["base_samples"].shape == arrays["samples"].shape == (50, 2)
    flow = pushforward.load(trained / "run")
    np.testing.assert_allclose(flow.log_prob(jnp.asarray(arrays["samples"])), arrays["log_prob"], rtol=1e-3, atol=1e-3)
    names = [name for name in arrays if name.startswith("parameters/")]
    assert sum(arrays[name].size for name in names) == sum(leaf.size for leaf in jax.tree.leaves(flow) if leaf.size)
    code, _, err = run(capsys, "export", trained / "run", "--out", "flow.txt")
    assert code == 2
    assert "must end in .npz" in err


def test_samples_do_not_depend_on_how_many(trained, capsys):
    for n in (70_000, 10):
        assert run(capsys, "sample", trained / "run", "-n", n, "--out", trained / f"{n}.npz")[0] == 0
    many, few = (np.load(trained / f"{n}.npz") for n in (70_000, 10))
    assert many["samples"].shape == (70_000, 2)
    for name in ("samples", "log_prob"):
        np.testing.assert_array_equal(many[name][:10], few[name])


@pytest.mark.slow
def test_a_table_of_the_user_in_its_own_units(folder, capsys):
    rng = np.random.default_rng(0)
    table = np.exp(rng.normal(size=(200, 2))) * [1e4, 1e-3]
    np.savetxt(folder / "mine.csv", table, delimiter=",", header="large,small", comments="")
    code, out, _ = run(capsys, "train", "mine.csv", *SMALL, "--out", "run")
    assert code == 0
    result = json.loads((folder / "run/result.json").read_text())
    described = json.loads((folder / "run/data.json").read_text())
    assert described["columns"] == ["large", "small"]
    assert f"{result['test_log_likelihood']:.3f}"[:5] in out
    # The log-likelihood is that of the data as given, not of standardised ones.
    loose = open_run(folder / "run").flow.log_prob(jnp.asarray([[1e4, 1e-3], [1e4, 1.0]], jnp.float32))
    assert loose[0] > loose[1]

    table[0] += 1
    np.savetxt(folder / "mine.csv", table, delimiter=",", header="large,small", comments="")
    (folder / "run/result.json").unlink()
    code, _, err = run(capsys, "train", "--resume", "run")
    assert code == 2
    assert "mine.csv has changed since run was started" in err


@pytest.mark.slow
def test_images_in_bits_per_dimension(folder, capsys):
    small = shlex.split("--length 1 --width 4 --steps 6 --batch-size 16 --validate-every 3 --levels 1")
    code, _, _ = run(capsys, "train", "density-digits", *small, "--dequantization", "variational", "--out", "run")
    assert code == 0
    result = json.loads((folder / "run/result.json").read_text())
    bits = -result["test_log_likelihood"] / (64 * np.log(2))
    np.testing.assert_allclose(result["test_bits_per_dimension"], bits, rtol=1e-6)
    assert 0 < bits < 10
    assert pushforward.load(folder / "run").shape == (8, 8, 1)


@pytest.mark.slow
def test_presets_name_their_data(folder, capsys):
    small = shlex.split("--steps 4 --validate-every 2 --size 100 --length 1 --bins 4")
    assert run(capsys, "train", "density-moons", *small, "--out", "run")[0] == 0
    assert open_run(folder / "run").config.data == "moons"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give data"),
        (["moon"], "unknown data set 'moon'; did you mean 'moons'"),
        (["nowhere.csv"], "nowhere.csv"),
        (["nan.csv"], "nan.csv, line 3: 'nan' in column 'b' is not a finite number"),
        (["moons", "--flow", "naf"], "unknown flow 'naf'"),
        (["moons", "--flow", "glow"], r"glow is for images \(H, W, C\), not for samples of shape \(2,\)"),
        (["moons", "--flow", "planar", "--bins", 4], "planar has no --bins; it has --initialisation"),
        (["moons", "--flow", "real_nvp", "--width", 0], "--width must be 1 or more, got 0"),
        (["moons", "--bound", -1.0], "--bound must be positive"),
        (["moons", "--validate-every", 0], "--validate-every must be 1 or more"),
        (["moons", "--test", 1.5], "fractions must be positive with a sum below 1"),
        (["wine", "--size", 50], "size is for samples of a known density"),
        (["moons", "--flow", "residual", "--coefficient", 1.5], "must lie between 0 and 1"),
        (["--resume", "nowhere"], "nowhere is not a run"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, capsys, arguments, complaint):
    rows = "".join(f"{i},{i * i % 7}\n" for i in range(20))
    (folder / "nan.csv").write_text("a,b\n1,2\n3,nan\n" + rows)
    before = contents(folder)
    code, out, err = run(capsys, "train", *arguments)
    assert code == 2
    assert out == ""
    assert re.fullmatch(rf"pushforward: .*{complaint}.*\n", err)
    after = {name: data for name, data in contents(folder).items() if "__pycache__" not in name}
    assert after == before


@pytest.mark.slow
def test_a_run_is_resumed_by_its_own_command(trained, capsys):
    code, _, err = run(capsys, "fit", "--resume", trained / "run")
    assert code == 2
    assert "is a run of pushforward train" in err


@pytest.mark.slow
def test_a_run_that_has_stopped_by_itself_takes_no_more_steps(folder, capsys):
    words = "--steps 4000 --patience 40 --learning-rate 0.3 --out stopped"
    code, _, err = run(capsys, "train", "moons", "--size", "60", *SMALL, *shlex.split(words))
    assert code == 0, err
    code, _, err = run(capsys, "train", "--resume", "stopped", "--steps", "8000")
    assert code == 2
    assert re.search(r"stopped by itself at step [\d,]+ of 4,000", err)
    assert (folder / "stopped/result.json").is_file()


@pytest.mark.slow
def test_logarithms_units_and_names_of_a_file(folder, capsys):
    """Lognormal numbers in units of 1e18, whose logarithms the base can describe: -2.84 nats in their own units."""
    rows = np.exp(np.random.default_rng(0).normal(size=(2000, 2)))
    truth = -(1 + np.log(2 * np.pi)) - np.log(1e18) * 2
    np.savetxt(folder / "mine.csv", 1e18 * rows, delimiter=",", header="a,b", comments="")
    small = ["--length", 0, "--base", "trained-normal", "--steps", 20, "--validate-every", 20, "--out", "run"]
    code, _, _ = run(capsys, "train", "mine.csv", "--log", "a", "b", *small)
    assert code == 0
    result = json.loads((folder / "run/result.json").read_text())
    # The entropy of the rows to 4.5 standard errors, an error rate below 1e-5.
    assert abs(result["test_log_likelihood"] - truth) < 4.5 * result["test_log_likelihood_std_error"]
    code, _, _ = run(capsys, "sample", "run", "-n", 20, "--out", "drawn.csv")
    drawn = np.genfromtxt("drawn.csv", delimiter=",", names=True)
    assert drawn.dtype.names == ("a", "b", "log_prob")
    x = np.stack([drawn["a"], drawn["b"]], axis=-1)
    np.testing.assert_allclose(pushforward.load("run").log_prob(jnp.asarray(x)), drawn["log_prob"], rtol=1e-5)


def test_a_table_is_checked_without_training(folder, capsys):
    rows = np.random.default_rng(0).normal(size=(100, 2))
    np.savetxt(folder / "mine.csv", np.column_stack([rows, rows.sum(1)]), delimiter=",", header="a,b,c", comments="")
    code, out, _ = run(capsys, "check", "mine.csv")
    assert code == 2
    assert "columns 'a', 'b', 'c' determine each other" in " ".join(out.split())
    code, out, _ = run(capsys, "check", "mine.csv", "--drop", "c")
    assert code == 0
    assert "80 / 10 / 10 rows to train, validate and test, 2 columns" in " ".join(out.split())


@pytest.mark.slow
def test_a_file_may_be_called_as_presets_are(folder, capsys):
    np.savetxt(folder / "dlgm-mine.csv", np.random.default_rng(0).normal(size=(100, 2)), delimiter=",")
    code, _, _ = run(capsys, "train", "dlgm-mine.csv", *SMALL, "--out", "run")
    assert code == 0


PRECISIONS = """
import sys
import jax.numpy as jnp
import pushforward
flow = pushforward.load(sys.argv[1])
print(flow.sample(__import__("jax").random.key(0), (3,)).dtype)
"""


@pytest.mark.slow
@pytest.mark.parametrize("trained_in", ["0", "1"])
def test_a_model_opens_in_the_precision_that_it_was_trained_in(folder, trained_in):
    """Whatever that of the process that opens it; where that has no double precision, it is asked for."""
    commands = {"train": ["-m", "pushforward.cli", "train", "moons", "--size", "200", *SMALL, "--out", "run"]}
    done = {}
    for name, x64 in (("train", trained_in), ("0", "0"), ("1", "1")):
        command = [sys.executable, *commands.get(name, ["-c", PRECISIONS, "run"])]
        environment = os.environ | {"JAX_ENABLE_X64": x64}
        done[name] = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done["train"].returncode == 0, done["train"].stderr
    assert done["1"].stdout.strip() == ("float64" if trained_in == "1" else "float32"), done["1"].stderr
    if trained_in == "0":
        assert done["0"].stdout.strip() == "float32", done["0"].stderr
    else:
        assert "is in double precision: set JAX_ENABLE_X64=1 to open it" in done["0"].stderr
