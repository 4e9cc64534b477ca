"""The report page: one HTML file that needs nothing else."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jinja2
from PIL import Image

from pushforward.reports.style import DARK, LIGHT, Drawing


@dataclass(frozen=True)
class Table:
    """Rows of text under headings.

    Attributes:
        columns: headings; a table of names and values has none.
        rows: the first cell of each names it.
        emphasised: index of the row that stands out.
    """

    columns: list[str]
    rows: list[list[str]]
    emphasised: int | None = None


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

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page in CSS pixels."""
        with Image.open(io.BytesIO(self.light)) as image:
            return image.width // self.pixel_ratio, image.height // self.pixel_ratio


def write_pictures(folder: Path, drawings: Iterable[tuple[str, str, str, Drawing | None]]) -> list[Picture]:
    """Write each drawing to `NAME.png` in the folder, and draw it for the page; None is left out.

    A drawing comes after the name of its file, its heading and its caption.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for name, heading, caption, drawing in drawings:
        if drawing is not None:
            light = drawing.png(LIGHT)
            (folder / f"{name}.png").write_bytes(light)
            pictures.append(Picture(heading, caption, light, drawing.png(DARK)))
    return pictures


def render(
    title: str,
    *,
    verdict: list[str],
    results: Table,
    warnings: list[str],
    pictures: list[Picture],
    restarts: Table,
    configuration: Table,
    command: str,
    environment: Table,
) -> str:
    """The page, with images inside it, for light and dark screens down to the width of a phone."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("pushforward.reports", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["data_uri"] = _data_uri
    return templates.get_template("report.html.jinja").render(
        title=title,
        verdict=verdict,
        results=results,
        warnings=warnings,
        pictures=pictures,
        restarts=restarts,
        configuration=configuration,
        command=command,
        environment=environment,
        light=LIGHT,
        dark=DARK,
    )


def _data_uri(data: bytes) -> str:
    kind = "gif" if data.startswith(b"GIF") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
