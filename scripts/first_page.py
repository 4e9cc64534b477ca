"""Make what the first page of the site loads light: `make docs` runs this last.

With the page comes the index of its search, most of which are the tables of arguments in the reference. Search knows a
public name by its first sentence instead.
"""

import gzip
import json
import re
import sys
from pathlib import Path

SITE = Path(__file__).parent.parent / "build" / "site"
INDEX = Path("search") / "search_index.json"
LIMIT = 200_000  # bytes, compressed as a server compresses them


def main() -> None:
    """Shorten the index of the built site, and refuse a first page that is too heavy."""
    path = SITE / INDEX
    index = json.loads(path.read_text())
    index["docs"] = [shortened(entry) for entry in index["docs"]]
    path.write_text(json.dumps(index, separators=(",", ":")))
    loads = weight(SITE)
    print(f"the first page loads {loads:,} bytes")
    if loads > LIMIT:
        sys.exit(f"that is more than {LIMIT:,}")


def shortened(entry: dict[str, str]) -> dict[str, str]:
    """An entry of the index; of the reference without its signature and what follows the first paragraph."""
    if not entry["location"].startswith("reference/"):
        return entry
    text = re.sub(r"<pre>.*?</pre>\s*", "", entry["text"], flags=re.S)
    return {**entry, "text": text.split("</p>")[0]}


def weight(site: Path) -> int:
    """Bytes of the first page and of all that it loads by itself, each compressed unless it is a picture."""
    page = (site / "index.html").read_text()
    named = {site / name for name in re.findall(r'(?:src|href)="([^"#?:]+\.(?:css|js|png|webp|svg))"', page)}
    loaded = {site / "index.html", site / INDEX, *named, *(site / "assets" / "javascripts" / "workers").glob("*.js")}
    return sum(_compressed(path) for path in loaded)


def _compressed(path: Path) -> int:
    held = path.read_bytes()
    return len(held) if path.suffix in (".png", ".webp") else len(gzip.compress(held))


if __name__ == "__main__":
    main()
