"""HTML and SVG as text in which everything is escaped that is not an element."""

from __future__ import annotations

from html import escape

#: Elements of HTML that have no content and no end.
_VOID = frozenset({"br", "hr", "img", "link", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


#: What an element may hold: text is escaped, nothing stands for nothing.
Content = str | int | None
Attribute = str | int | float | bool | None


def element(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """An element.

    Parameters
    ----------
    name : str
        Its tag.
    *content : str or int or None
        Text, which is escaped, and other elements.
    **attributes
        Trailing underscores are dropped (``class_``), others become hyphens; True gives an
        attribute without value, False and None give none.
    """
    begin = "".join((name, *(_attribute(key, value) for key, value in attributes.items())))
    if name in _VOID:
        return Markup(f"<{begin}>")
    return Markup(f"<{begin}>{joined(*content)}</{name}>")


def joined(*content: Content) -> Markup:
    """Several pieces one after the other."""
    return Markup("".join(_escaped(piece) for piece in content))


def _escaped(piece: Content) -> str:
    if piece is None:
        return ""
    return piece if isinstance(piece, Markup) else escape(str(piece), quote=False)


def _attribute(key: str, value: Attribute) -> str:
    key = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {key}="{escape(shown)}"'
