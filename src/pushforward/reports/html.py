"""The report page: one HTML file that needs nothing else."""

import base64
import io
import math
from dataclasses import dataclass

import jinja2
from PIL import Image

from pushforward.reports.style import DARK, LIGHT

DASH = "—"


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


def number(value: float | None, std_error: float | None = None) -> str | None:
    """A number as text, with its standard error to two digits; None where there is no finite number.

    >>> number(1.23456, 0.0123)
    '1.235 ± 0.012'
    """
    if value is None or not math.isfinite(value):
        return None
    if std_error is None or not math.isfinite(std_error):
        return f"{value:.4g}".replace("-", "−")
    decimals = min(6, max(0, 1 - math.floor(math.log10(std_error)))) if std_error > 0 else 4
    return f"{value:.{decimals}f} ± {std_error:.{decimals}f}".replace("-", "−")


def _data_uri(data: bytes) -> str:
    kind = "gif" if data.startswith(b"GIF") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
