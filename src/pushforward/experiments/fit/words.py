"""The words and tables of the report of a fit."""

from pushforward.drawing.page import Table
from pushforward.drawing.text import DASH, MINUS, number
from pushforward.experiments.words import CLOSENESS, Result, percentage, row, two_decimals
from pushforward.targets import Target

MEASURES = {"kl": "KL(q‖p)", "free_energy": "free energy", "cross_entropy": f"{MINUS}E[log q] over annealed draws"}
STD_ERRORS = {
    "kl": "kl_std_error",
    "kl_estimate": "kl_std_error",
    "free_energy": "kl_std_error",
    "log_z_estimate": "log_z_std_error",
    "forward_kl": "forward_kl_std_error",
}


def verdict(target: Target, result: Result) -> list[str]:
    """What the fit is worth, in sentences."""
    kl, energy = number(result["kl"], result["kl_std_error"]), number(result["free_energy"], result["kl_std_error"])
    if kl is not None:
        words = next((words for limit, words in CLOSENESS if result["kl"] < limit), "far from")
        first = f"The flow is {words} {target.name}: KL(q‖p) is {kl} nats, where 0 is perfect."
    elif energy is not None:
        estimate = number(result["kl_estimate"])
        at_least = f": at least {estimate} nats by the flow's own draws" if estimate is not None else ""
        first = (
            f"The free energy is {energy} nats, the ELBO its negative: KL(q‖p) less log Z of {target.name}, which is "
            f"not known. Fits are compared by it. How far this one is from {target.name} its own draws cannot "
            f"tell{at_least}."
        )
    else:
        first = f"How far the flow is from {target.name} could not be measured."
    return [first, _weights(result)]


def results(target: Target, result: Result) -> Table:
    """Every number, with its standard error, and what it means or why it is missing."""
    unmeasured = "its sum over the draws is not finite"
    unknown = "log Z of the target is not known"
    at_least_missing = "log Z is known" if result["log_z"] is not None else "the importance weights cannot be trusted"
    no_grid = "the grid does not hold all of the mass" if target.dim == 2 else "quadrature is for 2 dimensions"
    energy = (
        "free energy",
        "free_energy",
        f"what training minimised: KL(q‖p) {MINUS} log Z, the negative ELBO",
        unmeasured,
    )
    divergence = (
        "KL(q‖p)",
        "kl",
        "nats by which the flow q falls short of the target p; 0 is perfect",
        unknown if result["log_z"] is None else unmeasured,
    )
    rows = (
        *((energy, divergence) if result["log_z"] is None else (divergence, energy)),
        (
            "KL(q‖p), at least",
            "kl_estimate",
            "with the estimate of log Z below, which is too low where the flow misses mass",
            unmeasured if result["log_z"] is None and not result["k_hat_verdict"] else at_least_missing,
        ),
        ("KL(q‖p), quadrature", "reverse_kl_grid", "the same without sampling noise", no_grid),
        ("KL(p‖q), quadrature", "forward_kl_grid", "large where the flow misses mass of the target", no_grid),
        ("KL(p‖q), exact draws", "forward_kl", "the same, from draws of the target", "no draws of this target"),
        (
            "E_p[log q]",
            "exact_log_prob",
            "log density of the flow over exact draws of the target",
            "no draws of this target",
        ),
        ("log Z", "log_z", "normaliser of the target", "not known for this target"),
        ("log Z, importance sampling", "log_z_estimate", "estimated from draws of the flow", unmeasured),
    )
    table = [
        row(name, number(result.get(key), result.get(STD_ERRORS.get(key, ""))), *says) for name, key, *says in rows
    ]
    ess, k_hat = percentage(result["ess_fraction"]), two_decimals(result["k_hat"])
    table.append(row("effective sample size", ess, "of the draws, once weighted by p/q", unmeasured))
    forward = percentage(result.get("forward_ess"))
    table.append(
        row("forward ESS", forward, "the same from exact draws, which see what q misses", "no draws of this target")
    )
    table.append(row("Pareto k̂", k_hat, result["k_hat_verdict"], result["k_hat_verdict"] or unmeasured))
    return Table(["measure", "value / nats", "what it means"], table)


def restarts(result: Result) -> Table:
    """The KL of each restart, numbered from 0 as in `result.json`, or its free energy where log Z is not known."""
    best = result["best_restart"]
    rows = []
    for index, (kl, divergence) in enumerate(zip(result["restarts"], result["divergences"])):
        shown = number(kl)
        notes = ["best: the flow of this report"] if index == best else []
        if divergence is not None:
            notes.append(f"diverged at step {divergence['step']:,}, first in {divergence['leaf']}")
        elif shown is None:
            notes.append("not finite")
        rows.append([str(index), DASH if shown is None else shown, "; ".join(notes)])
    unit = f"{MEASURES[result.get('restarts_measure', 'kl')]} / nats"
    return Table(["restart", unit, "note"], rows, emphasised=best)


def _weights(result: Result) -> str:
    k_hat, ess = two_decimals(result["k_hat"]), percentage(result["ess_fraction"])
    if k_hat is None or ess is None:
        return f"Its importance weights could not be judged: {result['k_hat_verdict'] or 'not finite'}."
    return (
        f"Importance weights: {result['k_hat_verdict']} (k̂ = {k_hat}); the effective sample size is {ess} of "
        f"{result['samples']:,} draws."
    )
