"""The report page: one HTML file that needs nothing else."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup, escape
from PIL import Image

from pushforward.drawing.style import DARK, LIGHT, Drawing

Drawings = list[tuple[str, str, str, Drawing | None]]
"""Drawings, each after the name of its file, its heading and its caption; None is left out."""


@dataclass(frozen=True)
class Table:
    """Rows of text under headings.

    Attributes:
        columns: headings; a table of names and values has none.
        rows: the first cell of each names it.
        emphasised: index of the row that stands out.
        text_columns: columns of text that come before those of numbers; None where there are no columns of numbers.
    """

    columns: list[str]
    rows: list[list[str]]
    emphasised: int | None = None
    text_columns: int | None = None


@dataclass(frozen=True)
class Picture:
    """An image with its words.

    Attributes:
        name: what it shows, its heading.
        caption: how to read it.
        light: the bytes of a PNG or GIF file.
        dark: the same for dark pages; `light` serves both unless given.
        pixel_ratio: pixels of the file per pixel of the page.
    """

    name: str
    caption: str
    light: bytes
    dark: bytes | None = None
    pixel_ratio: int = 2

    @staticmethod
    def drawn(name: str, caption: str, drawing: Drawing) -> "Picture":
        """A drawing on a light and on a dark page."""
        return Picture(name, caption, drawing.png(LIGHT), drawing.png(DARK))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page in CSS pixels."""
        with Image.open(io.BytesIO(self.light)) as image:
            return image.width // self.pixel_ratio, image.height // self.pixel_ratio


def write_pictures(folder: Path, drawings: Drawings) -> list[Picture]:
    """Write each drawing to `NAME.png` in the folder, and draw it for the page."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for name, heading, caption, drawing in drawings:
        if drawing is not None:
            pictures.append(Picture.drawn(heading, caption, drawing))
            (folder / f"{name}.png").write_bytes(pictures[-1].light)
    return pictures


def render(
    title: str,
    *,
    verdict: list[str],
    results: Table,
    pictures: list[Picture],
    configuration: Table,
    command: str,
    environment: Table,
    warnings: Sequence[str] = (),
    restarts: Table | None = None,
    restarts_heading: str = "Restarts",
) -> str:
    """The page, with images inside it, for light and dark screens down to the width of a phone.

    What was tried, of which the best is shown, is in the table `restarts`. `code` between backticks in the verdict is
    set as such. A page whose results are columns of numbers is wide.
    """
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("pushforward.drawing", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"data_uri": _data_uri, "code": _code}
    return templates.get_template("page.html.jinja").render(
        title=title,
        verdict=verdict,
        results=results,
        warnings=warnings,
        pictures=pictures,
        restarts=restarts,
        restarts_heading=restarts_heading,
        configuration=configuration,
        command=command,
        environment=environment,
        light=LIGHT,
        dark=DARK,
    )


def _code(text: str) -> Markup:
    parts = escape(text).split("`")
    return Markup("").join(Markup(f"<code>{part}</code>") if index % 2 else part for index, part in enumerate(parts))


def _data_uri(data: bytes) -> str:
    kind = "gif" if data.startswith(b"GIF") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
