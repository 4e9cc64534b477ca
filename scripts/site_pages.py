"""Assemble the pages of the site in `build/pages`, from which `mkdocs build` makes it: see `make docs`.

They are the guides of `docs/`, the tutorials as they ran, the measured tables of `results/`, and a page for each public
module, whose docstrings mkdocstrings renders.
"""

import inspect
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from tutorials import TUTORIALS, write_page

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "build" / "pages"
MODULES = (
    "flows",
    "bijections",
    "distributions",
    "conditional",
    "contexts",
    "supports",
    "targets",
    "objectives",
    "training",
    "evaluation",
    "inference",
    "inference.simulation",
    "models",
    "data",
    "dequantize",
    "states",
    "stability",
    "manifolds",
    "nets",
    "drawing",
)
TOP_LEVEL = ("load", "open_run", "save", "use_all_cores")
START = "own-density"
"""The tutorial whose first figure is on the start page."""
INTEROP = ("numpyro", "flowjax")
UNSEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"
"""Before pages of tables, whose numbers nobody looks for, and which would be half of what the first page loads."""


def main() -> None:
    """Write all pages anew."""
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir(parents=True)
    for path in (ROOT / "docs").glob("*.*"):
        copy(path, PAGES / path.name)
    copy(ROOT / "CONTRIBUTING.md", PAGES / "contributing.md")
    for folder in ("results", "results/benchmarks"):
        for path in (ROOT / folder).iterdir():
            if path.suffix in (".md", ".png"):
                to = PAGES / folder / path.name.replace("README", "index")
                copy(path, to)
                if path.suffix == ".md" and path.name != "README.md":
                    to.write_text(UNSEARCHED + to.read_text())
    shutil.copytree(ROOT / "examples", PAGES / "examples")
    figures = {tutorial: write_page(tutorial, PAGES / "tutorials") for tutorial in TUTORIALS}
    with Image.open(figures[START][0]) as image:
        image.convert("RGB").save(PAGES / "start.webp", quality=85)
    copy(ROOT / "docs" / "tutorials" / "index.md", PAGES / "tutorials" / "index.md")
    (PAGES / "reference").mkdir()
    for name in MODULES:
        write_reference(name)
    write_top_level()
    write_interop()


def copy(path: Path, to: Path) -> None:
    """Links out of `docs/` lead to the copies beside the guides."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".md":
        shutil.copyfile(path, to)
        return
    text = re.sub(r"\]\(\.\./(results|examples)/", r"](\1/", path.read_text())
    to.write_text(text.replace("results/README.md", "results/index.md"))


def write_reference(name: str) -> None:
    """The page of a public module: its sentence, then what it offers, functions and classes first."""
    module = import_module(f"pushforward.{name}")
    assert module.__doc__, f"{name} has no docstring"
    offered = {each: getattr(module, each) for each in getattr(module, "__all__", dir(module))}
    code = [each for each, value in offered.items() if inspect.isfunction(value) or inspect.isclass(value)]
    rest = [each for each in offered if each not in code]
    blocks = [f"::: pushforward.{name}.{each}" for each in (*code, *rest)]
    text = "\n\n".join([f"# pushforward.{name}", module.__doc__.strip(), *blocks])
    (PAGES / "reference" / f"{name}.md").write_text(text + "\n")


def write_top_level() -> None:
    """What `import pushforward` offers itself, and where everything else is."""
    lines = ["# Reference", "`import pushforward` is quick: its modules are imported when they are used."]
    rows = ["| module | what is in it |", "| --- | --- |"]
    for name in MODULES:
        first = (import_module(f"pushforward.{name}").__doc__ or "").strip().split("\n")[0]
        rows.append(f"| [`pushforward.{name}`]({name}.md) | {first} |")
    blocks = [f"::: pushforward.{each}" for each in TOP_LEVEL]
    (PAGES / "reference" / "index.md").write_text("\n\n".join([*lines, "\n".join(rows), *blocks]) + "\n")


def write_interop() -> None:
    """Read as text, since the packages that they wrap may not be installed."""
    blocks = [f"::: pushforward.interop.{each}\n    options: {{heading_level: 2}}" for each in INTEROP]
    (PAGES / "reference" / "interop.md").write_text("\n\n".join(["# pushforward.interop", *blocks]) + "\n")


if __name__ == "__main__":
    main()
