"""`pushforward list`."""

from pushforward.experiments import registry
from pushforward.studies.registry import STUDIES, study


def list_() -> None:
    """Name the flows, targets, presets and studies, a line each."""
    from rich.console import Console

    from pushforward import data, flows, targets

    console = Console()
    groups = {
        "flows": {name: _summary(recipe) for name, recipe in flows.RECIPES.items()},
        "targets": {name: _summary(target) for name, target in targets.TARGETS.items()}
        | {"module:function": "An unnormalised log density of your own, written with jax.numpy; give --dim."},
        "data": {name: _summary(dataset) for name, dataset in data.DATASETS.items()}
        | {"FILE": "A table of yours: .csv, .tsv, .npy, .npz or .parquet."},
        "presets": {name: line for kind in registry.KINDS for name, line in registry.kind(kind).summaries.items()},
        "studies": {name: study(name).summary for name in STUDIES},
    }
    for title, entries in groups.items():
        console.print(f"[bold]{title}[/]")
        for name, summary in entries.items():
            console.print(f"  {name:<29}{summary}", soft_wrap=True, highlight=False, markup=False)


def _summary(documented: object) -> str:
    return (documented.__doc__ or "").strip().splitlines()[0]
