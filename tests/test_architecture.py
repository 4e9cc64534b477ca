"""Imports go one way."""

import ast
from pathlib import Path

import pushforward

SOURCE = Path(pushforward.__file__).parent

# From the bottom to the top: a room imports from itself and from those before it.
ROOMS = [
    {
        "types",
        "errors",
        "safe",
        "border",
        "boxes",
        "probes",
        "quadrature",
        "devices",
        "programs",
        "progress",
        "nets",
        "batches",
    },
    {"bijections"},
    {"distributions"},
    {"flows", "conditional", "contexts"},
    {"supports"},
    {"targets"},
    {"evaluation"},
    {"dequantize", "objectives"},
    {"training"},
    {"states", "manifolds", "stability", "inference", "saving"},
    {"data"},
    {"posteriors"},
    {"models"},
    {"interop"},
    {"drawing"},
    {"experiments"},
    {"experiments.fit", "experiments.train", "experiments.dlgm", "experiments.posterior"},
    {"experiments.advise", "experiments.conditional", "experiments.infer"},
    {"studies", "sweeps"},
    {"studies.density_of_states"},
    {
        "studies.energies",
        "studies.dlgm",
        "studies.loss_landscape",
        "studies.training_stability",
        "studies.out_of_distribution",
        "studies.posteriordb",
        "studies.sampling_targets",
        "studies.sbi_benchmark",
    },
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
APART = 14  # from this level on rooms of one level know nothing of each other


def room_of(module):
    """The room of `pushforward.a.b`, None of the package itself."""
    parts = module.split(".")[1:]
    if not parts:
        return None
    return ".".join(parts[:2]) if ".".join(parts[:2]) in LEVEL else parts[0]


def imported(path):
    """Modules of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pushforward":
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_every_room_has_its_place():
    rooms = {room_of("pushforward." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)) for path in files()}
    assert rooms - {"__init__"} == set(LEVEL)


def test_imports_go_down():
    wrong = set()
    for path in files():
        importing = room_of("pushforward." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))
        for module in imported(path):
            room = room_of(module)
            if room in (None, importing) or importing == "__init__":
                continue
            same = LEVEL[room] == LEVEL[importing] >= APART
            if LEVEL[room] > LEVEL[importing] or same:
                wrong.add((importing, module))
    assert wrong == set()


def files():
    return sorted(SOURCE.rglob("*.py"))
