"""`pushforward list`."""

from typing import Annotated, Literal

import tyro

Group = Literal["flows", "targets", "posteriors", "data", "presets", "studies", "all"]


def list_(group: Annotated[Group, tyro.conf.Positional] = "all") -> None:
    """Say how many flows, targets, posteriors, data sets, presets and studies have names, or name those of a group.

    Args:
        group: what to name, a line each; without it, how many there are of each.
    """
    from rich.console import Console

    from pushforward import data, flows, posteriors, targets
    from pushforward.experiments import registry
    from pushforward.studies.registry import STUDIES, study

    groups = {
        "flows": {name: _summary(recipe) for name, recipe in flows.RECIPES.items()},
        "targets": {name: _summary(target) for name, target in targets.TARGETS.items()},
        "posteriors": {name: named.summary for name, named in posteriors.POSTERIORS.items()},
        "data": {name: _summary(dataset) for name, dataset in data.DATASETS.items()},
        "presets": {name: line for kind in registry.KINDS for name, line in registry.kind(kind).summaries.items()},
        "studies": {name: study(name).summary for name in STUDIES},
    }
    console = Console()
    if group == "all":
        for title, entries in groups.items():
            console.print(f"{len(entries):>4} {title:<12}{USES[title]}", soft_wrap=True, highlight=False, markup=False)
        console.print("\npushforward list GROUP names them", highlight=False)
        return
    entries = groups[group] | OWN.get(group, {})
    width = max(map(len, entries)) + 2
    for name, summary in entries.items():
        console.print(f"{name:<{width}}{summary}", soft_wrap=True, highlight=False, markup=False)


USES = {
    "flows": "fit TARGET --flow NAME, train DATA --flow NAME",
    "targets": "fit NAME: densities whose normaliser is known",
    "posteriors": "fit NAME: posteriors of models on real data, most with reference draws",
    "data": "train NAME",
    "presets": "fit, train ... --preset NAME",
    "studies": "reproduce NAME",
}
OWN = {
    "targets": {"module:function": "An unnormalised log density of your own, written with jax.numpy; give --dim."},
    "posteriors": {"file.py:name": "A model of yours, in NumPyro, PyMC or JAX."},
    "data": {"FILE": "A table of yours: .csv, .tsv, .npy, .npz or .parquet."},
}


def _summary(documented: object) -> str:
    return (documented.__doc__ or "").strip().splitlines()[0]
