"""What the command line prints of a deep latent Gaussian model."""

from pathlib import Path

from rich.console import Console

from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.experiments.terminal import measured, print_end


def print_dlgm(run: DlgmRun, report: Path) -> None:
    """The numbers of a deep latent Gaussian model, what is wrong with them, and where the report is."""
    console, result = Console(), run.result
    measures = (
        ("free energy", "free_energy", "nats"),
        ("reconstruction", "reconstruction", "nats"),
        ("KL(q(z|x) ‖ p(z))", "divergence_from_prior", "nats"),
        ("-log p(x), importance sampling, at most", "nll_iwae", "nats"),
        ("-log p(x), AIS, at most", "nll_ais", "nats"),
        ("gap of BDMC", "bdmc_gap", "nats"),
        ("KL(q(z|x) ‖ p(z|x)), at least", "kl_posterior", "nats"),
        ("validation free energy", "validation_free_energy", "nats"),
    )
    console.print(measured(result, measures))
    for name, details in result.get("evaluations", {}).items():
        of_test = "simulated" if name == "bdmc" else f"of {result['test_images']:,} in the test set"
        console.print(f"{name}: {details['points']:,} {of_test}, {details['seconds']:.1f} s")
    active = f"{result['active_units']:,} of {result['latents']:,} latents active"
    console.print(f"{active} · best step {result['best_step']:,} of {result['steps']:,}")
    print_end(console, "validation free energy", [], result, report)
