"""Every command that the README and the pages of docs/ show, as written, but for what makes it take long."""

import json
import re
import shlex
import shutil
import warnings
from pathlib import Path

import jax
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pushforward.cli import main

ROOT = Path(__file__).parents[1]
SHOWN = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

ELSEWHERE = {
    "--budget paper": "hours; with a smaller budget above or below it",
    "--distributed": "tests/test_distributed.py",
    "--ray": "tests/sweeps/test_ray.py",
}
"""What is not run here, and why."""

FIT = "--restarts 2 --steps 60 --batch-size 32 --samples 2000 --frames 0"
TRAIN = "--length 1 --restarts 1 --steps 40 --validate-every 20"
DLGM = "--hidden 16 --latents 3 --steps 40 --validate-every 20 --test-draws 5"
SMALLER = {
    "fit examples/": "--seconds 10",
    "fit lgcp": "--seconds 10",
    "fit --resume": "",
    "fit many-well": f"{FIT} --length 1 --steps 20",
    "fit forty-gaussians": f"{FIT} --length 1 --components 5 --steps 20",
    "fit": FIT,
    "refine": "--ess 100 --seconds 20",
    "train dlgm-": DLGM,
    "train density-digits": f"{TRAIN} --batch-size 16",
    "train houses.csv --given": TRAIN,
    "train": TRAIN,
    "evaluate": "--points 12 --chains 3 --temperatures 5 --leapfrog-steps 2 --draws 20",
    "infer": "--simulations 300 --steps 60",
    "sweep": "",
    "reproduce rezende-mohamed-figure-3": "--targets u1 --flows planar --lengths 2 --restarts 2 --steps 60",
    "reproduce out-of-distribution": (
        "--flows real-nvp --seeds 1 --steps 20 --length 1 --width 8 --images 64 --draws 64 --groups 2"
    ),
    "reproduce training-stability": (
        "--flows nice --controls residual --learning-rates 1e-3 --gradient-clips 1 --batch-sizes 32 --points 100 "
        "--scales 0.5 --diagonals trained --seeds 2 --steps 40 --width 8"
    ),
    "reproduce": "--lengths 0 2 --seeds 1 --steps 40 --images 12 --annealed-images 0 --draws 5",
    "states advise": "--steps 40",
    "states": "--samples 2000",
    "": "",
}
"""What is added to a command, by its first words; the last setting of a name counts."""

BEFORE = {
    "README": [f"fit u1 {FIT} --length 2 --out runs/other"],
    "runs": [f"fit u2 {FIT} --length 2 --out runs/u2"],
    "volume-preservation": [f"train moons {TRAIN} --out runs/moons"],
}

pytestmark = pytest.mark.long


def commands(page: Path) -> list[str]:
    """Those of its blocks, without their comments."""
    blocks = re.findall(
        r"^```(?:sh)?\n(.*?)^```$",
        re.sub(r"^```\w{3,}\n.*?^```$", "", page.read_text(), flags=re.S | re.M),
        re.S | re.M,
    )
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if re.match(r"(srun .*|mpirun .*)?pushforward ", line)]


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def folder(tmp_path, monkeypatch, page):
    """With the files that the pages speak of; only one of them has houses in cities by name."""
    rng = np.random.default_rng(0)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "my_module.py").write_text(
        "import jax.numpy as jnp\n\ndef log_prob(z):\n    return -0.5 * jnp.sum(z**2)\n"
    )
    rows = rng.normal(size=(200, 3))
    np.save(tmp_path / "measurements.npy", rows)
    np.savetxt(tmp_path / "measurements.csv", rows, delimiter=",", header="a,b,c", comments="")
    parquet.write_table(pa.table(dict(zip("abc", rows.T))), tmp_path / "measurements.parquet")
    cities = rng.choice(["Rome", "Oslo"] if page.stem == "conditional-densities" else ["1", "2"], 300)
    houses = [
        f"{rng.integers(1, 9)},{rng.normal(40_000, 9_000):.0f},{city},{rng.normal(200, 30):.1f}" for city in cities
    ]
    for name, lines in (("houses", houses), ("sold", houses[:5])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["rooms,income,city,price", *lines]))
    contexts = [line.rpartition(",")[0] for line in houses[:4]]
    (tmp_path / "contexts.csv").write_text("\n".join(["rooms,income,city", *contexts]))
    (tmp_path / "another.json").write_text(json.dumps([0.1, -0.2]))
    np.save(tmp_path / "log_densities.npy", rng.normal(-900, 20, 1_000))
    for name in ("faces", "mine", "theirs"):
        np.save(tmp_path / f"{name}.npy", rng.integers(0, 256, (80, 8, 8), np.uint8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def smaller(words: list[str]) -> list[str]:
    """The same command with less to do."""
    extra = next(extra for start, extra in SMALLER.items() if shlex.join(words).startswith(start))
    if words[:1] != ["sweep"]:
        return [*words, *shlex.split(extra)]
    budget = FIT if words[1] == "u1" or words[1] == "u4" else TRAIN
    few = [re.sub(r"(=[^,.]+).*", r"\1", word) if "=" in word else word for word in words]
    return [*few, *shlex.split(budget)]


@pytest.mark.parametrize("page", [page for page in SHOWN if commands(page)], ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page, folder, capsys):
    for line in [*(f"pushforward {words}" for words in BEFORE.get(page.stem, [])), *commands(page)]:
        if any(mark in line for mark in ELSEWHERE):
            continue
        words = shlex.split(line, comments=True)[1:]
        main(smaller(words))
        assert capsys.readouterr().out.strip() or "--quiet" in words, line
