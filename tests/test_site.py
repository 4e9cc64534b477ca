"""The site has a page for every public name, and says something of each."""

import inspect
from importlib import import_module
from pathlib import Path

import yaml

import first_page
import site_pages
from tests.test_surface import MODULES

ROOT = Path(__file__).parent.parent


def test_every_public_module_has_a_page():
    assert set(MODULES) <= set(site_pages.MODULES)


def test_every_page_is_in_the_navigation():
    """And no other; `mkdocs build` would say so too, after the tutorials have run."""
    there = set(paths_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    tables = [path.relative_to(ROOT) for path in (ROOT / "results").rglob("*.md")]
    expected = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    expected |= {str(path).replace("README", "index") for path in tables}
    expected |= {f"tutorials/{name}.md" for name in site_pages.TUTORIALS}
    expected |= {f"reference/{name}.md" for name in (*site_pages.MODULES, "interop", "index")}
    assert there == expected | {"contributing.md"}


def test_no_public_name_is_undocumented():
    silent = []
    for name in site_pages.MODULES:
        module = import_module(f"pushforward.{name}")
        for offered in module.__all__:
            value = getattr(module, offered)
            if (inspect.isclass(value) or inspect.isfunction(value)) and not value.__doc__:
                silent.append(f"{name}.{offered}")
    assert silent == []


def paths_of(entries):
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else paths_of(value)


def test_the_first_page_is_light(tmp_path):
    """What it loads is counted as a server sends it, and search knows the reference by first sentences."""
    (tmp_path / "search").mkdir()
    (tmp_path / "index.html").write_text('<link href="a.css"><img src="b.webp"><a href="other.html"></a>')
    (tmp_path / "a.css").write_text("p {}\n" * 1000)
    (tmp_path / "b.webp").write_bytes(bytes(5000))
    (tmp_path / "other.html").write_bytes(bytes(10**6))
    (tmp_path / first_page.INDEX).write_text("{}")
    assert 5000 < first_page.weight(tmp_path) < 5400
    text = "<pre><code>fit(\n a\n)</code></pre> <p>Fits.</p> <p>Parameters:</p> <ul> <li>a</li> </ul>"
    assert first_page.shortened({"location": "reference/x.html#fit", "text": text})["text"] == "<p>Fits."
    guide = {"location": "flows.html", "text": text}
    assert first_page.shortened(guide) == guide
