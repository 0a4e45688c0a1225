"""The directions file: one row of white-space columns per direction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from factor.directions.geometry import dec_texts, ra_texts
from factor.directions.model import Direction
from factor.errors import InputError
from factor.files import whole
from factor.workspace import is_name

COLUMNS = (
    "name",
    "position",
    "mscale_selfcal_do",
    "mscale_facet_do",
    "cal_imsize",
    "solint_ph",
    "solint_amp",
    "dynamic_range",
    "region_selfcal",
    "region_facet",
    "peel_skymodel",
    "outlier_source",
    "cal_size_deg",
    "cal_flux_mjy",
)

#: The last columns, which may be absent.
_OPTIONAL = 2

_EMPTY = ("empty", "0")
_RA = re.compile(r"(\d{1,2})(?:h|:)(\d{1,2})(?:m|:)(\d{1,2}(?:\.\d*)?)s?")
_DEC = re.compile(r"([+-]?)(\d{1,2})(?:d|:|\.)(\d{1,2})(?:m|:|\.)(\d{1,2}(?:\.\d*)?)s?")

_NOTE = re.compile(r"# (\w+) = (.*)")

_HEADER = """\
# Directions of Factor, in the order of their processing.
#
# position: RA,Dec without a blank. mscale_*_do: multiscale cleaning, True or False.
# cal_imsize: side of the calibrator's image in pixels. solint_*: solution intervals in
# time slots of the unaveraged data. dynamic_range: LD (slow gains per band) or HD (per
# channel). region_*: masks. cal_size_deg: side of the box that holds the calibrator.
# "empty" and 0: Factor decides.
#
"""


def read_directions(path: Path) -> tuple[Direction, ...]:
    """Read a directions file.

    Masks and peeling models are looked for beside the file, then in the current directory;
    the directions hold their absolute paths.

    Raises
    ------
    InputError
        With every problem of the file: its line, its column, and what is wrong.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the directions file '{path}' cannot be read: {error}") from error
    directions: list[Direction] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split("#", 1)[0].split()
        if not words or [word.lower() for word in words[:2]] == list(COLUMNS[:2]):
            continue
        row = _Row(f"{path}, line {number}", path.parent)
        direction = row.parse(words)
        problems += row.problems
        if words[0] in seen:
            problems.append(
                f"{row.where}, column name: '{words[0]}' was used in line {seen[words[0]]} already"
            )
        seen.setdefault(words[0], number)
        if direction is not None:
            directions.append(direction)
    if not seen and not problems:
        raise InputError(
            f"the directions file '{path}' has no directions",
            "add a line for each, or leave out directions_file to have them chosen",
        )
    if problems:
        raise InputError(problems, "correct these lines, or comment them out with '#'")
    return tuple(directions)


class _Row:
    """One line being read: its values and the problems found in it."""

    def __init__(self, where: str, folder: Path) -> None:
        self.where = where
        self.folder = folder
        self.problems: list[str] = []

    def parse(self, words: Sequence[str]) -> Direction | None:
        least = len(COLUMNS) - _OPTIONAL
        if not least <= len(words) <= len(COLUMNS):
            self.problems.append(
                f"{self.where}: {len(words)} columns, but there must be {least} to "
                f"{len(COLUMNS)} ({' '.join(COLUMNS)})"
            )
            return None
        self._texts = dict(zip(COLUMNS, words, strict=False))
        position = self._get("position", _position, (0.0, 0.0))
        size = self._get("cal_size_deg", _positive, 0.0)
        flux = self._get("cal_flux_mjy", _positive, 0.0)
        imsize = self._get("cal_imsize", _count, 0)
        if not size and not imsize and not self.problems:
            self.problems.append(f"{self.where}: one of cal_imsize and cal_size_deg must be given")
        direction = Direction(
            name=self._get("name", _safe_name, "unnamed"),
            ra_deg=position[0],
            dec_deg=position[1],
            mscale_selfcal=self._get("mscale_selfcal_do", _flag, None),
            mscale_facet=self._get("mscale_facet_do", _flag, None),
            cal_imsize=imsize,
            solint_fast=self._get("solint_ph", _count, 0),
            solint_slow=self._get("solint_amp", _count, 0),
            dynamic_range=self._get("dynamic_range", _dynamic_range, "LD"),
            region_selfcal=self._get("region_selfcal", self._existing, None),
            region_facet=self._get("region_facet", self._existing, None),
            peel_skymodel=self._get("peel_skymodel", self._existing, None),
            is_outlier=bool(self._get("outlier_source", _flag, False)),
            cal_size_deg=size or None,
            cal_flux_jy=flux / 1000.0 if flux else None,
        )
        return None if self.problems else direction

    def _get(self, column: str, convert: Callable[[str], Any], default: Any) -> Any:
        text = self._texts.get(column, "empty")
        if text.lower() in _EMPTY and column not in ("name", "position"):
            return default
        try:
            return convert(text)
        except ValueError as error:
            self.problems.append(f"{self.where}, column {column}: {error}")
            return default

    def _existing(self, text: str) -> str:
        for candidate in (self.folder / text, Path(text)):
            if candidate.is_file():
                return str(candidate.resolve())
        raise ValueError(f"the file '{text}' does not exist")


def _safe_name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"'{text}' has characters other than A-Z a-z 0-9 _ + - . or begins with .")
    if text == "field":
        raise ValueError("'field' is the name of the whole field")
    return text


def _position(text: str) -> tuple[float, float]:
    """RA and Dec in degrees of e.g. ``14h41m01.884,+35d30m31.52``."""
    parts = text.split(",")
    if len(parts) != 2:
        raise ValueError(f"'{text}' is not of the form 14h41m01.884,+35d30m31.52 (RA,Dec)")
    ra, dec = _RA.fullmatch(parts[0]), _DEC.fullmatch(parts[1])
    if ra is None:
        raise ValueError(f"'{parts[0]}' is not a right ascension such as 14h41m01.884")
    if dec is None:
        raise ValueError(f"'{parts[1]}' is not a declination such as +35d30m31.52")
    hours = _sexagesimal(parts[0], *ra.groups())
    degrees = _sexagesimal(parts[1], *dec.groups()[1:])
    if hours >= 24.0:
        raise ValueError(f"the right ascension '{parts[0]}' is not below 24 hours")
    if degrees > 90.0:
        raise ValueError(f"the declination '{parts[1]}' is not between -90 and 90 degrees")
    return 15.0 * hours, -degrees if dec[1] == "-" else degrees


def _sexagesimal(text: str, whole: str, minutes: str, seconds: str) -> float:
    if float(minutes) >= 60.0 or float(seconds) >= 60.0:
        raise ValueError(f"'{text}' has minutes or seconds that are not below 60")
    return float(whole) + float(minutes) / 60.0 + float(seconds) / 3600.0


def _flag(text: str) -> bool:
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no"):
        return False
    raise ValueError(f"'{text}' is none of True, False and empty")


def _count(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f"'{text}' is not a whole number of 0 or more")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise ValueError(f"'{text}' is not a number of 0 or more")
    return value


def _dynamic_range(text: str) -> str:
    if text.upper() not in ("LD", "HD"):
        raise ValueError(f"'{text}' is neither LD nor HD")
    return text.upper()


def write_directions(
    directions: Sequence[Direction], path: Path, choice: Mapping[str, str] | None = None
) -> None:
    """Write a directions file that `read_directions` reads back; it appears whole or not at all.

    Parameters
    ----------
    directions : sequence of Direction
        In the order of their processing.
    path : Path
        The file.
    choice : mapping of str to str, optional
        The options with which they were chosen: noted as comments, for `read_choice`.
    """
    rows = [[f"# {COLUMNS[0]}", *COLUMNS[1:]], *(_words(d) for d in directions)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(COLUMNS))]
    lines = [
        " ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    notes = [f"# {name} = {value}\n" for name, value in (choice or {}).items()]
    noted = ["# Chosen with\n", *notes, "#\n"] if notes else []
    with whole(path) as draft:
        draft.write_text(_HEADER + "".join(noted) + "\n".join(lines) + "\n")


def read_choice(path: Path) -> dict[str, str]:
    """The options with which the directions of a file were chosen, as far as it notes them."""
    found = (_NOTE.fullmatch(line) for line in path.read_text(errors="replace").splitlines())
    return {match[1]: match[2] for match in found if match}


def _words(direction: Direction) -> list[str]:
    return [
        direction.name,
        format_position(direction.ra_deg, direction.dec_deg),
        _word(direction.mscale_selfcal),
        _word(direction.mscale_facet),
        str(direction.cal_imsize),
        str(direction.solint_fast),
        str(direction.solint_slow),
        direction.dynamic_range,
        direction.region_selfcal or "empty",
        direction.region_facet or "empty",
        direction.peel_skymodel or "empty",
        str(direction.is_outlier),
        f"{direction.cal_size_deg or 0.0:.5g}",
        f"{1000.0 * (direction.cal_flux_jy or 0.0):.6g}",
    ]


def _word(value: bool | None) -> str:
    return "empty" if value is None else str(value)


def format_position(ra_deg: float, dec_deg: float) -> str:
    """A position as the directions file has it, to 0.001 s and 0.01 arcsec."""
    (hours, minutes, seconds), (degrees, arcmin, arcsec) = ra_texts(ra_deg, 3), dec_texts(dec_deg, 2)
    return f"{hours}h{minutes}m{seconds}s,{degrees}d{arcmin}m{arcsec}s"
