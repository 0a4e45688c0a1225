"""A page as a browser and a reader without one see it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = {"br", "hr", "img", "link", "meta"}


class Page(HTMLParser):
    """What is in a page; wrong nesting is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.folder = path.parent
        self.ids: list[str] = []
        self.links: list[str] = []
        self.classes: list[str] = []
        self.tags: list[str] = []
        self.unnamed: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(path.read_text())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found[key] or "" for key in ("href", "src") if key in found]
        self.classes += (found.get("class") or "").split()
        if tag == "img" and not found.get("alt"):
            self.unnamed.append(tag)
        assert not [key for key in found if key.startswith("on")], "no code in attributes"
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("style", "script"):
            self.text += data

    @property
    def broken(self) -> list[str]:
        """Links that lead nowhere, or out of the folder."""
        return [link for link in self.links if not self._resolves(link)]

    def _resolves(self, link: str) -> bool:
        if link.startswith("#"):
            return link[1:] in self.ids
        path = (self.folder / link).resolve()
        return ":" not in link and path.is_relative_to(self.folder.resolve()) and path.is_file()


def sound(path: Path) -> Page:
    """A page of which everything is checked that holds for all."""
    page = Page(path)
    assert page.broken == []
    assert page.unnamed == []
    assert len(set(page.ids)) == len(page.ids)
    assert "link" not in page.tags, "nothing is loaded from elsewhere"
    assert "url(" not in path.read_text().replace("url(#", ""), "nothing but the page's own parts"
    return page
