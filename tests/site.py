"""Whether a built site is whole: ``python -m tests.site build/site``."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, what it loads, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.places.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.loads += [given[name] for name in ("src", "data") if name in given and tag != "a"]
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(given["href"])


def faults(root: Path) -> list[str]:
    """Links that lead nowhere, and what would be loaded from elsewhere."""
    pages = {path: Page(path) for path in sorted(root.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        where = path.relative_to(root)
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loads and parts.scheme != "data":
                    found.append(f"{where} loads {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                found.append(f"{where} links to {link}, which is not there")
            elif target in pages and unquote(parts.fragment) not in {"", *pages[target].places}:
                found.append(f"{where} links to {link}, which has no such place")
    elsewhere = re.compile(r"(?:url\(|@import )[\"']?(?:https?:)?//[^)\"']+")
    for path in sorted(root.rglob("*.css")):
        remote = elsewhere.findall(path.read_text("utf-8"))
        found += [f"{path.relative_to(root)} loads {each}" for each in remote]
    return found


if __name__ == "__main__":
    root = Path(sys.argv[1]).resolve()
    if not (root / "index.html").exists():
        sys.exit(f"there is no site in {root}")
    if wrong := faults(root):
        sys.exit("\n".join(wrong))
    print(f"all links of {len(list(root.rglob('*.html')))} pages lead somewhere")
