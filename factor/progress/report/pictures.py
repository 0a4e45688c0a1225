"""The pictures of a report: small ones for the page, large ones that are opened on demand.

Names are made of what is in a picture and of the files it is made from: a picture that is
there is never changed, so a browser that reads an older page is not disturbed, and a report
that is made again makes only what is new.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from factor.errors import FactorError
from factor.files import whole

if TYPE_CHECKING:
    from PIL.Image import Image as Bitmap

log = logging.getLogger("factor.report")

#: Changed when pictures of the same files look different from then on.
_LOOK = "2"
#: Width of small pictures, in pixels, and quality of all that are made here.
SMALL, WIDE = 200, 360
_SMALL_QUALITY, _QUALITY = 72, 88
#: A picture that no page shows any more is kept so long for whoever reads an old page, seconds.
_GRACE_S = 3600.0


@dataclass(frozen=True)
class Picture:
    """A picture of the page.

    Attributes
    ----------
    title : str
        What it shows.
    small, large : str
        Addresses within the report's folder.
    width, height : int
        Of the small one, in pixels.
    """

    title: str
    small: str
    large: str
    width: int
    height: int


class Album:
    """The pictures in the folder of a report.

    Parameters
    ----------
    folder : Path
        Of the report.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: set[str] = set()
        for name in ("thumbs", "pictures"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def product(
        self, title: str, source: Path, width: int, remake: Callable[[Path], None] | None = None
    ) -> Picture | None:
        """A picture that the run has made, or else one that is made now.

        Parameters
        ----------
        title : str
        source : Path
            The run's picture.
        width : int
            Of the small one.
        remake : callable, optional
            Makes it under another name; it may raise what it likes.
        """
        key = _key(source.name, stamp(source))
        large = self._folder / "pictures" / f"{_plain(source.stem)}.{key}.png"
        if not large.exists() and not _copied(source, large):
            if remake is None:
                return None
            try:
                with whole(large) as draft:
                    remake(draft)
            except Exception as error:  # noqa: BLE001 - a report without this picture is better than none
                log.debug("%s could not be drawn: %s", source, error)
                return None
        return self.made(title, large, width)

    def several(self, source: Path, make: Callable[[Path], list[Path]]) -> list[Path]:
        """Pictures that are made from one file, of which there may be several.

        Parameters
        ----------
        source : Path
            What they are made from.
        make : callable
            Makes them under names that begin with the one it is given.
        """
        begin = f"{_plain(source.parent.name)}.{_key(source.name, stamp(source))}."
        folder = self._folder / "pictures"
        found = sorted(folder.glob(f"{begin}*.png"))
        if found:
            return found
        try:
            return make(folder / begin)
        except Exception as error:  # noqa: BLE001 - a report without these pictures is better than none
            log.debug("%s could not be drawn: %s", source, error)
            return []

    def made(self, title: str, large: Path, width: int) -> Picture | None:
        """A picture that lies in the folder already."""
        return self._picture(title, large, width, lambda: _opened(large))

    def drawn(self, title: str, name: str, key: str, draw: Callable[[], Bitmap]) -> Picture | None:
        """A picture that is drawn for the report.

        Parameters
        ----------
        title, name : str
            What it shows, and the beginning of its file's name.
        key : str
            All that it depends on, in any form.
        draw : callable
            Draws it; a FactorError or OSError leaves it away.
        """
        large = self._folder / "pictures" / f"{_plain(name)}.{_key(name, key)}.jpg"
        bitmap: Bitmap | None = None
        if not large.exists():
            try:
                bitmap = draw()
                _save(bitmap, large, _QUALITY)
            except (FactorError, OSError, ValueError) as error:
                log.debug("%s could not be drawn: %s", name, error)
                return None
        return self._picture(title, large, SMALL, lambda: bitmap or _opened(large))

    def _picture(self, title: str, large: Path, width: int, opened: Callable[[], Bitmap]) -> Picture | None:
        small = self._folder / "thumbs" / f"{large.stem}.w{width}.jpg"
        try:
            shape = _size(small) if small.exists() else _shrink(opened(), small, width)
        except (OSError, ValueError) as error:
            log.debug("%s could not be made small: %s", large, error)
            return None
        self._used |= {small.name, large.name}
        return Picture(title, f"thumbs/{small.name}", f"pictures/{large.name}", *shape)

    def tidy(self) -> None:
        """Delete what no page shows any more."""
        for name in ("thumbs", "pictures"):
            for path in (self._folder / name).iterdir():
                with suppress(OSError):
                    if path.name not in self._used and time.time() - path.stat().st_mtime > _GRACE_S:
                        path.unlink()


def stamp(*paths: Path) -> str:
    """What changes when one of some files does."""
    parts = []
    for path in paths:
        try:
            status = path.stat()
            parts.append(f"{path}:{status.st_mtime_ns}:{status.st_size}")
        except OSError:
            parts.append(f"{path}:-")
    return "|".join(parts)


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join((_LOOK, *parts)).encode()).hexdigest()[:12]


def _plain(name: str) -> str:
    """A file name that needs no escape in an address."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:120]


def _copied(source: Path, target: Path) -> bool:
    """Whether a picture of the run was there, sound, and is copied."""
    from PIL import Image

    try:
        with whole(target) as draft:
            draft.write_bytes(source.read_bytes())
            with Image.open(draft) as found:
                found.verify()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _opened(path: Path) -> Bitmap:
    from PIL import Image

    with Image.open(path) as found:
        return found.copy()


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as found:
        return found.size


def _shrink(bitmap: Bitmap, path: Path, width: int) -> tuple[int, int]:
    small = bitmap.convert("RGB")
    width = min(width, small.width)
    small.thumbnail((width, 3 * width), reducing_gap=2.0)
    _save(small, path, _SMALL_QUALITY)
    return small.size


def _save(bitmap: Any, path: Path, quality: int) -> None:
    with whole(path) as draft:
        bitmap.save(draft, format="JPEG", quality=quality)
