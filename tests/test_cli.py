"""The command line with real fits, small ones."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import pushforward
from pushforward.cli import main
from pushforward.cli.exits import UNREAD
from pushforward.experiments.runs import open_run

SMALL = shlex.split("--length 2 --restarts 2 --steps 60 --batch-size 32 --samples 4096 --frames 3")

DENSITIES = """
import jax.numpy as jnp
import numpy as np

def gaussian(z):
    return -0.5 * jnp.sum((z - 1) ** 2)

def vector(z):
    return -0.5 * z**2

def complex_valued(z):
    return jnp.sum(z) * 1j

def nan(z):
    return jnp.log(z[0])

def numpy_only(z):
    return -0.5 * np.sum(np.asarray(z) ** 2)

def explodes(z):
    return jnp.exp(5 * jnp.sum(z) ** 2)

def ball(z):
    return -0.5 * jnp.sum(z**2) + 0.1 * jnp.log(1 - jnp.sum(z**2) / 3.9**2)
"""


def run(capsys, *arguments):
    """Exit code, standard output, standard error."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "densities.py").write_text(DENSITIES)
    yield tmp_path
    sys.modules.pop("densities", None)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_fit_leaves_a_run_that_can_be_reread(folder, capsys):
    code, out, _ = run(capsys, "fit", "u2", *SMALL, "--out", "run")
    assert code == 0
    assert "KL(q ‖ p)" in out
    assert "report.html" in out
    result = json.loads((folder / "run/result.json").read_text())
    assert {"kl", "kl_std_error", "reverse_kl_grid", "forward_kl_grid", "log_z", "log_z_estimate"} <= result.keys()
    assert {"log_z_std_error", "ess_fraction", "k_hat", "seconds", "steps_per_second", "restarts"} <= result.keys()
    assert result["log_z"] == pytest.approx(2.1129, abs=1e-4)
    assert len(result["restarts"]) == 2
    assert result["best_restart"] == int(np.argmin(result["restarts"]))
    assert "NaN" not in (folder / "run/result.json").read_text() + (folder / "run/metrics.jsonl").read_text()
    assert "http" not in re.sub(r"data:[^\"]*", "", (folder / "run/report.html").read_text())

    reread = open_run(folder / "run")
    assert [step for step, _ in reread.snapshots] == [7, 27, 60]
    assert reread.metrics[-1]["step"] == 60
    assert sorted(reread.config.command().split()) == sorted(["pushforward", "fit", "u2", *SMALL])


@pytest.mark.slow
def test_a_function_of_the_user(folder, capsys):
    code, out, _ = run(capsys, "fit", "densities:gaussian", "--dim", 3, *SMALL, "--out", "run", "--length", 0)
    assert code == 0
    assert out.index("ELBO") < out.index("KL(q ‖ p), at least")
    result = json.loads((folder / "run/result.json").read_text())
    assert result["kl"] is None
    assert result["log_z"] is None
    assert np.isfinite(result["kl_estimate"])
    assert result["elbo"] == -result["free_energy"]
    assert result["restarts_measure"] == "free_energy"
    assert result["best_restart"] == int(np.argmin(result["restarts"]))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["u5"], r"unknown target 'u5'; did you mean 'u\d'\?"),
        (["u1", "--flow", "plannar"], "unknown flow 'plannar'; did you mean 'planar'"),
        (["u1", "--length", -1], "--length must be 0 or more, got -1"),
        (["u1", "--batch-size", 0], "--batch-size must be 1 or more, got 0"),
        (["u1", "--restarts", 0], "--restarts must be 1 or more"),
        (["u1", "--learning-rate", "nan"], "--learning-rate must be positive and finite"),
        (["u1", "--dim", 3], "u1 is a density in 2 dimensions"),
        (["many-well", "--dim", 3], "many-well needs an even dimension"),
        (["correlated-gaussian", "--dim", 1, "--flow", "nice"], "a coupling layer needs at least 2 dimensions"),
        (["u1", "--log-z", 1.0], "brings its own log Z"),
        ([], "give a target"),
        (["densities:gaussian"], "a function of one point takes --dim"),
        (["densities:nothing", "--dim", 2], "has no 'nothing'"),
        (["nowhere:f", "--dim", 2], "cannot import 'nowhere'"),
        (["densities:vector", "--dim", 2], r"it returned shape \(2,\)"),
        (["densities:complex_valued", "--dim", 2], "dtype complex64"),
        (["densities:nan", "--dim", 2], r"is nan at z = \("),
        (["densities:numpy_only", "--dim", 2], "write it with jax.numpy"),
        (["--resume", "nowhere"], "nowhere is not a run"),
        (["u1", "--resume", "nowhere"], "--resume takes every setting from the run"),
        (["u1", "--out", "densities.py"], "densities.py is a file"),
        (["u1", "--out", "."], "is not empty and holds no run"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, capsys, arguments, complaint):
    before = contents(folder)
    code, out, err = run(capsys, "fit", *arguments)
    assert code == 2
    assert out == ""
    assert re.fullmatch(rf"pushforward: .*{complaint}.*\n", err)
    after = {name: data for name, data in contents(folder).items() if "__pycache__" not in name}
    assert after == before


@pytest.mark.slow
def test_another_run_is_overwritten_only_by_force(folder, capsys):
    run(capsys, "fit", "u2", *SMALL, "--out", "run")
    before = contents(folder / "run")
    code, _, err = run(capsys, "fit", "u1", *SMALL, "--out", "run")
    assert code == 2
    assert "--force" in err
    assert contents(folder / "run") == before
    code, _, _ = run(capsys, "fit", "u1", *SMALL, "--out", "run", "--force")
    assert code == 0
    assert open_run(folder / "run").config.target == "u1"


def test_a_fit_that_diverges_names_step_leaf_and_checkpoint(folder, capsys):
    code, _, err = run(capsys, "fit", "densities:explodes", "--dim", 2, *SMALL, "--out", "run")
    assert code == 2
    assert re.search(r"pushforward: not finite at step \d+, first in \S+; ", err)
    assert re.search(r"densities:explodes is (inf|nan) at z = ", err)
    assert not (folder / "run/result.json").exists()


@pytest.mark.slow
def test_the_best_restart_is_one_that_lives_and_the_point_of_the_others_is_named(folder, capsys):
    """Of a density that is NaN outside of a ball, which leaves the page without most of its numbers."""
    code, out, _ = run(capsys, "fit", "densities:ball", "--dim", 2, "--restarts", 6, "--steps", 50, "--out", "run")
    assert code == 0
    result = json.loads((folder / "run/result.json").read_text())
    lost = [divergence for divergence in result["divergences"] if divergence]
    assert 0 < len(lost) < 6
    assert result["divergences"][result["best_restart"]] is None
    assert all(re.fullmatch(r"densities:ball is nan at z = \(\S+, \S+\)", divergence["point"]) for divergence in lost)
    assert "densities:ball is nan at z = (" in out
    assert "densities:ball is nan at z = (" in (folder / "run/report.html").read_text()


@pytest.mark.slow
def test_the_point_is_named_whichever_part_of_the_batch_it_is_in(folder, capsys):
    words = ("--dim", 2, "--restarts", 1, "--steps", 50, "--batch-size", 64, "--accumulate", 4)
    code, _, err = run(capsys, "fit", "densities:ball", *words, "--out", "run")
    assert code == 2
    assert re.search(r"not finite at step \d+, first in \S+; .*densities:ball is nan at z = \(", err)


@pytest.mark.slow
def test_an_interrupted_fit_resumes_to_the_same_bits(folder, capsys):
    long = [*SMALL, "--steps", "40000", "--frames", "0"]
    command = [sys.executable, "-m", "pushforward.cli", "fit", "u2", *long, "--out", "stopped"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        metrics = folder / "stopped/metrics.jsonl"
        while process.poll() is None and not (metrics.is_file() and metrics.read_text().count("\n") >= 3):
            pass
        process.send_signal(2)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "go on with: pushforward fit --resume stopped" in err
    stopped_at = open_run(folder / "stopped").checkpoints.steps()[-1]
    assert 0 < stopped_at < 40_000

    resume = [sys.executable, "-m", "pushforward.cli", "fit", "--resume", "stopped"]
    assert subprocess.run(resume, capture_output=True, timeout=300, check=False).returncode == 0
    whole = [sys.executable, "-m", "pushforward.cli", "fit", "u2", *long, "--out", "whole"]
    assert subprocess.run(whole, capture_output=True, timeout=300, check=False).returncode == 0

    first, second = (open_run(folder / name) for name in ("stopped", "whole"))
    assert [(m["step"], m["loss"]) for m in first.metrics] == [(m["step"], m["loss"]) for m in second.metrics]
    assert first.result["restarts"] == second.result["restarts"]
    assert first.result["kl"] == second.result["kl"]


@pytest.mark.slow
def test_a_finished_run_goes_on_to_more_steps(folder, capsys):
    run(capsys, "fit", "u2", *SMALL, "--out", "run")
    before = open_run(folder / "run")
    code, _, err = run(capsys, "fit", "--resume", "run", "--steps", before.config.steps)
    assert code == 2
    assert "--steps must be more" in err
    assert open_run(folder / "run").finished

    code, _, _ = run(capsys, "fit", "--resume", "run", "--steps", 2 * before.config.steps)
    assert code == 0
    after = open_run(folder / "run")
    assert after.config.steps == 2 * before.config.steps
    assert after.metrics[: len(before.metrics)] == before.metrics
    assert after.metrics[-1]["step"] == 2 * before.config.steps


@pytest.mark.slow
def test_broken_and_foreign_checkpoints(folder, capsys):
    run(capsys, "fit", "u2", *SMALL, "--out", "run")
    (folder / "run/result.json").unlink()
    config = folder / "run/config.yaml"
    text = config.read_text()
    config.write_text(text.replace("length: 2", "length: 3"))
    code, _, err = run(capsys, "fit", "--resume", "run")
    assert code == 2
    assert "is of another model: " in err

    config.write_text("surprise: 1\n")
    code, _, err = run(capsys, "fit", "--resume", "run")
    assert code == 2
    assert "is not the configuration of a run" in err

    config.write_text(text)
    for path in (folder / "run/checkpoints/60").rglob("*"):
        if path.is_file():
            path.write_bytes(b"broken")
    code, _, err = run(capsys, "fit", "--resume", "run")
    assert code == 2
    assert err.splitlines()[-1].startswith("pushforward: cannot read the checkpoint ")


@pytest.mark.slow
def test_a_full_disk_keeps_the_last_good_checkpoint(folder):
    """No file may grow beyond 6,000 bytes: the metrics of a longer run do."""
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); "
    limited += "from pushforward.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", limited, "fit", "u2", *SMALL, "--steps", "2000", "--frames", "20", "--out", "run"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 2
    assert finished.stderr.splitlines()[-1].startswith("pushforward: ")
    stopped = open_run(folder / "run")
    assert not stopped.finished
    assert stopped.checkpoints.steps()
    resume = [sys.executable, "-m", "pushforward.cli", "fit", "--resume", "run"]
    assert subprocess.run(resume, capture_output=True, timeout=300, check=False).returncode == 0


@pytest.mark.slow
def test_samples(folder, capsys):
    run(capsys, "fit", "u2", *SMALL, "--out", "run")
    code, out, _ = run(capsys, "sample", "run", "-n", 1000)
    assert (code, out) == (0, "run/samples.npz\n")
    arrays = np.load(folder / "run/samples.npz")
    assert arrays["samples"].shape == (1000, 2)
    expected = open_run(folder / "run").flow.log_prob(jnp.asarray(arrays["samples"]))
    np.testing.assert_allclose(arrays["log_prob"], expected, atol=1e-4)

    code, _, _ = run(capsys, "sample", "run", "-n", 7, "--out", "few.csv")
    assert code == 0
    assert (folder / "few.csv").read_text().splitlines()[0] == "z1,z2,log_prob"
    np.testing.assert_allclose(np.loadtxt(folder / "few.csv", delimiter=",", skiprows=1)[:, :2], arrays["samples"][:7])

    for arguments, complaint in [
        (["run", "-n", 0], "-n must be 1 or more"),
        (["run", "--out", "few.txt"], "must end in .npz or .csv"),
        (["nowhere"], "is not a run"),
    ]:
        code, _, err = run(capsys, "sample", *arguments)
        assert code == 2
        assert complaint in err


@pytest.mark.slow
def test_report_is_written_again(folder, capsys):
    run(capsys, "fit", "u2", *SMALL, "--out", "run")
    (folder / "run/report.html").unlink()
    assert run(capsys, "report", "run")[0] == 0
    assert (folder / "run/report.html").is_file()


def test_list_counts_and_names(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    for group, names in {
        "flows": ("planar", "nice"),
        "targets": ("u1", "funnel", "module:function"),
        "posteriors": ("seeds", "eight_schools-eight_schools_centered", "file.py:name"),
        "presets": ("paper",),
        "studies": ("rezende-mohamed-figure-3", "posteriordb"),
    }.items():
        count = int(re.search(rf"^ *(\d+) {group} ", out, re.MULTILINE)[1])
        code, listed, _ = run(capsys, "list", group)
        assert code == 0
        assert len(listed.splitlines()) - count in (0, 1)
        for name in names:
            assert re.search(rf"^{name} +\S", listed, re.MULTILINE)


@pytest.mark.slow
def test_a_study_goes_on_where_it_was(folder, capsys):
    small = "--targets u1 u2 --flows planar --lengths 1 2 --restarts 2 --steps 20 --out study --results kept"
    code, _, _ = run(capsys, "reproduce", "rezende-mohamed-figure-3", *small.split())
    assert code == 0
    table = (folder / "kept/rezende-mohamed-figure-3.md").read_text()
    assert table.count("| u1 | planar |") == table.count("| u2 | planar |") == 2
    assert "pushforward reproduce rezende-mohamed-figure-3 --targets u1 u2 --flows planar" in table
    assert len(json.loads((folder / "study/rezende-mohamed-figure-3.json").read_text())) == 4

    before = {path: path.stat().st_mtime_ns for path in (folder / "study/cells").rglob("result.json")}
    next(iter(before)).unlink()
    assert run(capsys, "reproduce", "rezende-mohamed-figure-3", *small.split())[0] == 0
    changed = [path for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert len(changed) == 1

    code, _, err = run(capsys, "reproduce", "rezende-mohamed-figure3")
    assert code == 2
    assert "did you mean 'rezende-mohamed-figure-3'" in err


def test_completion_of_a_shell(folder, capsys):
    for shell in ("bash", "zsh", "fish"):
        code, _, _ = run(capsys, "--tyro-write-completion", shell, f"{shell}.completion")
        assert code == 0
    # Bash's own completion, asked as an interactive shell asks: the commands, and the flags of one.
    script = """source bash.completion
    offer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tyro_pushforward "$1" "${!#}"; echo "${COMPREPLY[@]}"; }
    offer pushforward re; offer pushforward fit u1 --le"""
    offered = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert set(offered[0].split()) == {"refine", "report", "reproduce"}
    assert set(offered[1].split()) == {"--length", "--learning-rate"}
    for shell in ("tcsh", "bahs"):
        code, _, err = run(capsys, "--tyro-print-completion", shell)
        assert code == 2
        assert err.startswith(f"pushforward: completion is for bash, zsh, fish, not '{shell}'")
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", ["list", "--tyro-print-completion bash"])
def test_a_reader_that_leaves_is_no_mistake(arguments, folder):
    command = f"{sys.executable} -m pushforward.cli {arguments} 2>errors | true; echo ${{PIPESTATUS[0]}}; cat errors"
    finished = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == [str(UNREAD)]


def test_help_imports_neither_jax_nor_matplotlib():
    script = "import sys; from pushforward.cli import main\ntry: main(['fit', '--help'])\n"
    script += "except SystemExit: pass\nassert not {'jax', 'matplotlib', 'scipy'} & sys.modules.keys()"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "--learning-rate" in finished.stdout


@pytest.mark.slow
def test_a_fit_of_ones_own_function_opens_without_it(folder, capsys):
    code, _, _ = run(capsys, "fit", "densities:gaussian", "--dim", 3, *SMALL, "--out", "run")
    assert code == 0
    (folder / "densities.py").unlink()
    sys.modules.pop("densities")
    assert pushforward.load("run").shape == (3,)
    opened = pushforward.open_run("run")
    assert opened.model.shape == (3,)
    assert opened.result["elbo"] == -opened.result["free_energy"]
    code, _, _ = run(capsys, "sample", "run", "-n", 5)
    assert code == 0
    code, _, _ = run(capsys, "export", "run", "--n", 5)
    assert code == 0
    code, _, _ = run(capsys, "report", "run")
    assert code == 0
    page = (folder / "run/report.html").read_text()
    assert "no picture of the target: cannot import" in page
    assert "Free energy" in page
    assert "Target and fit" not in page


def test_version(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith(f"pushforward {pushforward.__version__}, JAX ")


@pytest.mark.slow
def test_verbose_says_where_an_error_came_from(folder):
    command = [sys.executable, "-m", "pushforward.cli", "fit", "u5", "--verbose"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("pushforward: unknown target 'u5'")


@pytest.mark.slow
def test_quiet_shows_what_comes_out_alone(folder):
    command = [sys.executable, "-m", "pushforward.cli", "fit", "u2", *SMALL, "--out", "run", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "report: " in done.stdout
