"""Run the tutorials of `docs/tutorials`: each once, for its page, its notebook and its test.

A tutorial is a Python file in Jupytext's percent format. What it printed and drew is kept in `build/tutorials` as long
as neither it nor the package changes.

    python scripts/tutorials.py [NAME ...]
"""

import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbconvert.filters import strip_ansi

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "docs" / "tutorials"
BUILT = ROOT / "build" / "tutorials"
TUTORIALS = (
    "own-density",
    "numpyro-model",
    "pymc-model",
    "constrained-and-periodic",
    "several-modes",
    "repair-by-chains",
    "density-of-a-table",
    "conditional-density",
    "simulation-based-inference",
    "amortised-posteriors",
    "volume-preservation",
    "training-that-goes-wrong",
    "saving-resuming-sweeping",
    "moving-from-elsewhere",
)
LIMIT = 600  # seconds for a cell


def executed(name: str) -> nbformat.NotebookNode:
    """The notebook of a tutorial with what its cells gave.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    source = (SOURCES / f"{name}.py").read_text()
    state = digest(source)
    path = BUILT / f"{name}.ipynb"
    if path.exists():
        kept = nbformat.read(path, as_version=4)
        if kept.metadata.get("made_of") == state:
            return kept
    notebook = jupytext.reads(source, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # its commands
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=LIMIT, resources={"metadata": {"path": folder}}).execute()
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if output.output_type == "stream":
            output.text = strip_ansi(output.text)
    notebook.metadata["made_of"] = state
    notebook.metadata["seconds"] = round(time.perf_counter() - start)
    BUILT.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return notebook


def digest(source: str) -> str:
    """Of a tutorial and of the package that it runs."""
    found = hashlib.sha256(source.encode())
    for path in sorted((ROOT / "src").rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def write_page(name: str, folder: Path) -> list[Path]:
    """Write NAME.md, its figures and NAME.ipynb into a folder; the paths of the figures."""
    notebook = executed(name)
    folder.mkdir(parents=True, exist_ok=True)
    text, resources = MarkdownExporter().from_notebook_node(
        notebook, resources={"output_files_dir": f"{name}-files", "unique_key": name}
    )
    figures = []
    for file, content in resources["outputs"].items():
        figures.append(path := folder / file)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    title, _, rest = text.strip().partition("\n")
    link = f"[As a notebook]({name}.ipynb){{: download }}, which ran in {notebook.metadata['seconds']} s on two cores."
    (folder / f"{name}.md").write_text(f"{title}\n\n{link}\n{rest}\n")
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return figures


def main() -> None:
    """Run those that are named, or all."""
    for name in sys.argv[1:] or TUTORIALS:
        print(f"{name}: {executed(name).metadata['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
