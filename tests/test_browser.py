"""Every kind of page in a real browser: Chromium, of Debian's package of that name."""

import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from pushforward.cli import main
from tests.test_cli import SMALL

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("browser")]  # its pages are made once

EXAMPLES = Path(__file__).parents[1] / "examples"
FIT = [*SMALL, "--frames", "3"]
TINY = shlex.split("--width 8 --steps 40 --validate-every 10")
PAGES = {
    "fit": ["fit", "u1", *FIT, "--out", "fit"],
    "another fit": ["fit", "u1", *FIT, "--length", "4", "--out", "longer"],
    "many dimensions": ["fit", "many-well", "--dim", "32", "--flow", "maf", *FIT, "--out", "wells"],
    "posterior": ["fit", "eight_schools-eight_schools_noncentered", "--seconds", "10", "--out", "schools"],
    "train": ["train", "wine", "--flow", "maf", "--length", "1", *TINY, "--out", "wine"],
    "images": [
        "train",
        "digits",
        "--flow",
        "real_nvp",
        "--length",
        "1",
        *TINY,
        "--batch-size",
        "16",
        "--out",
        "digits",
    ],
    "dlgm": [*shlex.split("train dlgm-digits --steps 40 --validate-every 20"), "--out", "dlgm"],
    "sweep": ["sweep", "u1", "--over", "flow=planar,maf", "seed=0,1", *FIT, "--restarts", "1", "--out", "sweep"],
    "comparison": ["report", "fit", "longer", "--out", "both"],
    "conditional": ["train", "rows.csv", "--given", "a", "b", *TINY, "--out", "conditional"],
    "inference": [
        *("infer", f"{EXAMPLES}/two_moons.py:simulator", "--observation", f"{EXAMPLES}/two_moons.json"),
        *("--simulations", "400", "--out", "moons"),
    ],
    "advice": ["states", "advise", "wine", "--steps", "40", "--run", "advised"],
    "study": [
        *shlex.split(
            "reproduce rezende-mohamed-figure-3 --targets u1 --flows planar radial --lengths 2 --restarts 2 --steps 100"
        ),
        "--out",
        "study",
    ],
}
REPORTS = (
    *(f"{name}/report.html" for name in ("fit", "wells", "schools", "wine", "digits", "dlgm", "sweep", "both")),
    *(f"{name}/report.html" for name in ("conditional", "moons", "study")),
    "advised/advice.html",
)
WIDTHS = (390, 768, 1400)

CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const rgb = numbers(getComputedStyle(element).backgroundColor);
      if (rgb.length === 3 || rgb[3] > 0) return rgb;
    }
    return [255, 255, 255];
  };
  const weak = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || element.closest("script, style")) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${element.tagName} ${element.textContent.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""
CLIPPED = """() => [...document.querySelectorAll("h1, h2, h3, p, li, th, td, figcaption, pre")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "visible")
  .map((e) => e.textContent.slice(0, 40))"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A folder with a page of every kind."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rows = np.random.default_rng(0).normal(size=(400, 3)).round(3)
        np.savetxt("rows.csv", rows, delimiter=",", header="a,b,c", comments="")
        for words in PAGES.values():
            main(words)
    return folder


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium")
    assert path, "apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REPORTS)
def test_a_page(pages, browser, name, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((pages / name).as_uri())
    try:
        assert [url for url in requests[1:] if not url.startswith("data:")] == []
        assert errors == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(CLIPPED) == []
        broken = "[...document.images].filter((image) => !image.complete || !image.naturalWidth).length"
        assert page.evaluate(broken) == 0
    finally:
        page.close()


def test_tables_sort_by_the_keyboard(pages, browser):
    page = browser.new_page()
    page.goto((pages / "sweep" / "report.html").as_uri())
    button = page.locator("table.numbers thead button", has_text="time").first
    column = "[...document.querySelector('table.numbers tbody').rows].map((r) => parseFloat(r.cells[{}].textContent))"
    index = page.locator("table.numbers").first.locator("thead th").all_text_contents().index("time / s")
    for _ in range(2):
        button.focus()
        page.keyboard.press("Enter")
        times = page.evaluate(column.format(index))
        direction = page.locator("th[aria-sort]").first.get_attribute("aria-sort")
        assert times == sorted(times, reverse=direction == "descending")
    assert direction == "descending"
    page.close()
