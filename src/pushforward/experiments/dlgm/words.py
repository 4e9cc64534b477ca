"""The words and tables of the report of a deep latent Gaussian model."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pushforward.drawing.page import Table
from pushforward.drawing.text import MINUS, number
from pushforward.evaluation.means import mean_and_std_error
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.experiments.words import (
    CLOSENESS,
    Result,
    count,
    row,
    training,
    true_density,
    validated_restarts,
    value,
)
from pushforward.experiments.words import environment as of_training

OVERFLOW = "not finite: a number overflowed"
NLL = f"{MINUS}log p(x)"
POSTERIOR_KL = "KL(q(z|x)‖p(z|x))"
ESTIMATORS = {"iwae": "importance sampling", "ais": "annealed importance sampling", "bdmc": "bidirectional Monte Carlo"}
BINARY = {
    "static": "statically binarised",
    "dynamic": "binarised anew in every step (dynamic)",
    "thresholded": "thresholded at half of the grey levels",
}
LIKELIHOODS = {
    "bernoulli": "a Bernoulli likelihood",
    "normal": "a Normal likelihood",
    "logit-normal": "a logit-normal likelihood",
    "categorical": "a categorical likelihood",
    "logistic": "a discretised logistic likelihood",
}


def truth(run: DlgmRun) -> dict[str, float | None]:
    """Numbers that need the true density of the data: none where that is not known.

    `true_nll`, the mean of `-log p(x)` over the test rows by the true density p, and, once `-log q(x)` of a model q has
    been estimated, `kl_to_truth`, how much less likely the same rows are by the model; each with its standard error.
    """
    data = run.dataset
    if data.log_density is None:
        return {}
    true_nll = -np.asarray(jax.jit(jax.vmap(data.log_density))(jnp.asarray(data.test)), np.float64)
    numbers = {"true_nll": true_nll}
    if (by := run.result.get("kl_posterior_by")) is not None:
        nll = run.points(by)["nll"]
        numbers["kl_to_truth"] = nll - true_nll[: len(nll)]
    described = {}
    for name, values in numbers.items():
        described[name], described[f"{name}_std_error"] = mean_and_std_error(values)
    return described


def verdict(run: DlgmRun, result: Result) -> list[str]:
    """What the model is worth, in sentences."""
    sentences = [_free_energy(run, result), _comparability(run), _posterior(run, result)]
    if "kl_to_truth" in result:
        sentences.append(true_density("model", run.dataset.name, result))
    trained = training("model", run.config.steps, result["validation_free_energy"], result, run.metrics)
    return [*sentences, _latents(result), trained]


def results(run: DlgmRun, result: Result) -> Table:
    """Every number, with its standard error, and what it means, or why it is missing and how to get it."""
    each = noun(run)
    table = [
        row(
            "free energy F",
            value(result, "free_energy"),
            f"mean upper bound of {NLL} of {count(result['test_images'], f'test {each}')}, "
            f"{count(result['test_draws'], 'draw')} of z each",
            OVERFLOW,
        ),
        row(
            "reconstruction",
            value(result, "reconstruction"),
            f"part of F: mean {MINUS}log p(x|z), what z leaves open of x",
            OVERFLOW,
        ),
        row(
            "KL(q(z|x)‖p(z))",
            value(result, "divergence_from_prior"),
            "the rest of F: how much q(z|x) says beyond the prior",
            OVERFLOW,
        ),
        _estimate(run, result, "iwae", f"{NLL}, importance sampling", "nll_iwae", _importance),
        _estimate(run, result, "ais", f"{NLL}, AIS", "nll_ais", _annealed),
        _estimate(run, result, "bdmc", "gap of BDMC", "bdmc_gap", _gap),
        _posterior_row(run, result),
    ]
    if "true_nll" in result:
        table.append(
            row(
                f"true {NLL}",
                value(result, "true_nll"),
                "of all test rows, by the density they are drawn from",
                OVERFLOW,
            )
        )
    if "kl_to_truth" in result:
        by = result["kl_posterior_by"]
        meaning = f"nats by which the model q falls short of that density p, by {ESTIMATORS[by]}: {_first(run, by)}"
        table.append(row("KL(p‖q)", value(result, "kl_to_truth"), meaning, OVERFLOW))
    return Table(
        ["measure", "value", "what it means"],
        [
            *table,
            [
                "active units",
                f"{result['active_units']:,} of {result['latents']:,}",
                f"latents whose posterior mean varies over the test {each}s, with a variance above 0.01",
            ],
            row(
                "validation free energy",
                value(result, "validation_free_energy"),
                f"mean of {count(len(run.dataset.validation), each)} that chose the step, one draw of z each",
                "it was never finite",
            ),
            ["best step", f"{result['best_step']:,}", f"of {result['steps']:,}; the model is the one of that step"],
        ],
    )


def restarts(result: Result) -> Table:
    """The validation free energy of the only start."""
    return validated_restarts("model", "validation free energy / nats", [result["validation_free_energy"]], result)


def command(result: Result) -> str:
    """The commands that trained and evaluated the model, a line each."""
    return "\n".join([result["command"], *(details["command"] for details in evaluations(result).values())])


def environment(result: Result) -> Table:
    """Versions, hardware and time, of training and of every evaluation."""
    table = of_training(result)
    return Table([], [*table.rows, *([f"time of {name}", _time(name, d)] for name, d in evaluations(result).items())])


def evaluations(result: Result) -> Mapping[str, Any]:
    """What is written of each estimator that was run, by its name."""
    return result.get("evaluations", {})


def noun(run: DlgmRun) -> str:
    """What one of the test set is called."""
    return "row" if run.dataset.levels is None else "image"


def _free_energy(run: DlgmRun, result: Result) -> str:
    model = f"The model of {run.dataset.name}, {_observed(run)},"
    free_energy, tested = value(result, "free_energy"), count(result["test_images"], f"test {noun(run)}")
    if free_energy is None:
        return f"{model} has no finite free energy over {tested}: it rules out a part of them."
    return f"{model} has a mean free energy of {free_energy} over {tested}, an upper bound of {NLL}."


def _observed(run: DlgmRun) -> str:
    kind, levels, likelihood = run.observation.kind, run.observation.levels, LIKELIHOODS[run.config.likelihood]
    if kind in BINARY:
        return f"{BINARY[kind]}, with {likelihood}"
    match kind:
        case "levels":
            return f"in {levels:,} levels by {likelihood}"
        case "continuous":
            return f"with uniform noise that makes its {levels:,} levels continuous, by {likelihood}"
        case _:
            return f"which are real numbers, by {likelihood}"


def _comparability(run: DlgmRun) -> str:
    kind = run.observation.kind
    if kind in BINARY:
        once = " The test images were binarised once, by the seed." if kind == "dynamic" else ""
        return f"Numbers of different binarisations cannot be compared: they are different data.{once}"
    if kind == "levels":
        return (
            "These numbers are of grey levels: they cannot be compared with those of any binarisation or of densities."
        )
    data = "data in (0, 1)" if kind == "continuous" else "the data in their units"
    return (
        f"All of its free energies are of the density of {data}: they may be negative, and cannot be compared with "
        "those of grey levels or of any binarisation."
    )


def _posterior(run: DlgmRun, result: Result) -> str:
    if "kl_posterior_by" not in result:
        return f"How far q(z|x) is from the true posterior is {_how(run, 'iwae')}."
    kl, text = result.get("kl_posterior"), value(result, "kl_posterior")
    if kl is None or text is None:
        return "How far q(z|x) is from the true posterior could not be measured."
    by = f"by {ESTIMATORS[result['kl_posterior_by']]}, on {_first(run, result['kl_posterior_by'])}"
    if kl < 2 * (result["kl_posterior_std_error"] or 0.0):
        told = "These draws cannot tell q(z|x) from the true posterior"
        return f"{told}: {POSTERIOR_KL} is at least {text} {by}; 0 is perfect."
    words = next((words for limit, words in CLOSENESS if kl < limit), "far from")
    at_best = f"At best, q(z|x) is {words} the true posterior"
    return f"{at_best}: on average, {POSTERIOR_KL} is at least {text} {by}, where 0 is perfect."


def _latents(result: Result) -> str:
    active, latents = result["active_units"], result["latents"]
    if active == 0:
        return "No latent is active: the posterior has collapsed to the prior, and z says nothing of x."
    if active == latents:
        return "The only latent is active." if latents == 1 else f"All {latents:,} latents are active."
    return f"{active:,} of {latents:,} latents {'is' if active == 1 else 'are'} active; the others say nothing of x."


def _estimate(run: DlgmRun, result: Result, estimator: str, name: str, key: str, meaning: Any) -> list[str]:
    details = evaluations(result).get(estimator)
    if details is None:
        return row(name, None, "", _how(run, estimator))
    return row(name, value(result, key), meaning(run, details), OVERFLOW)


def _how(run: DlgmRun, estimator: str) -> str:
    choice = "" if estimator == "iwae" else f" --estimator {estimator}"
    return f"not estimated yet: pushforward evaluate {run.folder}{choice}"


def _importance(run: DlgmRun, details: Result) -> str:
    return (
        f"of {_first(run, 'iwae')}, {count(details['draws'], 'draw')} of q(z|x) each; their effective sample size is "
        f"{number(details['median_ess'])} for the median {noun(run)}; an upper bound on average"
    )


def _annealed(run: DlgmRun, details: Result) -> str:
    return (
        f"annealed importance sampling of {_first(run, 'ais')}: {_path(details)}; acceptance "
        f"{details['acceptance']:.1%}; standard error {number(details['median_std_error_of_an_image'])} for the median "
        f"{noun(run)}; an upper bound on average"
    )


def _gap(run: DlgmRun, details: Result) -> str:
    lower, upper = (number(details[f"simulated_{side}_bound"]) or "not finite" for side in ("lower", "upper"))
    return (
        f"of log p(x) of {count(details['points'], noun(run))} that the model simulates, between AIS ({lower}) and its "
        f"reverse ({upper}): what AIS may leave out, there; {_path(details)}"
    )


def _path(details: Result) -> str:
    return (
        f"{count(details['chains'], 'chain')}, {details['temperatures']:,} {details['schedule']} temperatures from the "
        f"{details['start']}, {count(details['leapfrog_steps'], 'leapfrog step')} each"
    )


def _posterior_row(run: DlgmRun, result: Result) -> list[str]:
    if (by := result.get("kl_posterior_by")) is None:
        return row(POSTERIOR_KL, None, "", _how(run, "iwae"))
    meaning = f"F less {NLL} by {ESTIMATORS[by]}, on {_first(run, by)}; at least that on average; 0 is perfect"
    return row(POSTERIOR_KL, value(result, "kl_posterior"), meaning, OVERFLOW)


def _first(run: DlgmRun, estimator: str) -> str:
    """Which part of the test set an estimator was run on."""
    done, all_of_them = evaluations(run.result)[estimator]["points"], len(run.dataset.test)
    named = count(all_of_them, f"test {noun(run)}")
    return f"all {named}" if done == all_of_them else f"the first {done:,} of {named}"


def _time(estimator: str, details: Result) -> str:
    seconds = f"{number(details['seconds'])} s"
    rate = details.get("likelihood_evaluations_per_second")
    if rate is None:
        return seconds
    what = "likelihoods" if estimator == "iwae" else "likelihoods and gradients"
    return f"{seconds} for {details['likelihood_evaluations']:,} {what}, {rate:,.0f} a second"
