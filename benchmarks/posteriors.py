"""The ladder on four posteriors, through the command line and with no other flag than the seconds.

The published ELBOs are those of diffusion samplers, 40,000 steps of 2,000 draws on GPUs (arXiv 2506.10982): seeds
-73.45, brownian 1.06, sonar -108.83. Seconds are those of the whole command, from its start to the page.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tyro

from common import Requirement, Row, at_least, at_most, report

MODELS = Path(__file__).parent / "posterior_models.py"
ASKED = {
    "seeds": (26, -73.44, -73.42),
    "brownian": (32, 1.07, 1.08),
    "sonar": (61, -108.83, -108.78),
    "ionosphere": (35, -111.83, -111.80),
}
"""Dimensions, and the ELBOs asked for after 60 and 180 seconds."""


def fitted(target: str, seconds: float) -> tuple[dict, float]:
    """The best rung, and the seconds that the command took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pushforward.cli", "fit", target, "--seconds", str(seconds)]
        command += ["--out", folder, "--force"]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        spent = time.perf_counter() - began
        return json.loads(Path(folder, "result.json").read_text())["best"], spent


def main(seconds: tuple[float, ...] = (60, 180)) -> None:
    """Fit, and write `results/benchmarks/posteriors.md`.

    Args:
        seconds: for each fit.
    """
    rows: list[Row] = []
    requirements: list[Requirement] = []
    for limit in seconds:
        for name, (dim, *asked) in ASKED.items():
            best, spent = fitted(name, limit)
            rows.append(_row(name, dim, limit, best, spent))
            bar = asked[limit > 60]
            requirements.append(at_least(f"ELBO of {name} after {limit:g} s, at least {bar}", best["elbo"], bar))
            requirements.append(at_most(f"k-hat of {name} after {limit:g} s, below 0.7", best["k_hat"], 0.7))
    best, spent = fitted(f"{MODELS}:nearly_normal", 60)
    rows.append(_row("nearly normal", 20, 60, best, spent))
    requirements.append(at_most("seconds of a nearly Normal posterior of 20 parameters, at most 30", spent, 30))
    report("posteriors", "The ladder on posteriors", rows, requirements, notes=__doc__.split("\n\n", 1)[1].strip())


def _row(name: str, dim: int, limit: float, best: dict, spent: float) -> Row:
    return {
        "posterior": name,
        "D": dim,
        "--seconds": f"{limit:g}",
        "ELBO": f"{best['elbo']:.4f}",
        "log Z": f"{best['log_z']:.4f} ± {best['log_z_std_error']:.4f}",
        "ESS": f"{best['ess_fraction']:.1%}",
        "k-hat": best["k_hat"],
        "rung": best["name"],
        "seconds": spent,
    }


if __name__ == "__main__":
    tyro.cli(main)
