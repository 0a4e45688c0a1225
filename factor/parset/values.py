"""From the text of an option to its value: one function per kind."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from factor.parset.option import Kind, Option
from factor.workspace import misread

_Number = TypeVar("_Number", int, float)

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")

_SEXAGESIMAL = re.compile(
    r"(?P<sign>[+-]?)(?P<first>\d+)(?:h|d|:)(?P<minutes>\d+)(?:m|:)(?P<seconds>\d+(?:\.\d*)?)s?"
)


def is_unset(text: str) -> bool:
    """Whether an option is as good as absent."""
    return text.strip().lower() in ("", "none")


def parse(option: Option, text: str) -> Any:
    """Value of an option.

    Raises
    ------
    ValueError
        With what the text should have been.
    """
    return _PARSERS[option.kind](option, text.strip())


def missing_path(option: Option, value: Any) -> str:
    """What is wrong with the path that an option names, or an empty text."""
    if option.kind is Kind.FILE and not value.is_file():
        return "there is no such file"
    if option.kind is Kind.FOLDER and not value.is_dir():
        return "there is no such folder"
    if option.kind is Kind.NEW_FOLDER and value.exists() and not value.is_dir():
        return "this is not a folder"
    if option.kind in (Kind.FOLDER, Kind.NEW_FOLDER) and misread(value):
        return f"DP3 and WSClean misread {misread(value)} in a name: choose another folder"
    return ""


def _bool(_: Option, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("must be True or False")


def _number(option: Option, text: str, read: Callable[[str], _Number], what: str) -> _Number:
    try:
        number = read(text)
    except ValueError:
        raise ValueError(_expected(option, what)) from None
    if not math.isfinite(number) or not option.allows(number):
        raise ValueError(f"must be {what}" + (f" {option.limits}" if option.limits else ""))
    return number


def _int(option: Option, text: str) -> int:
    return _number(option, text, int, "a whole number")


def _float(option: Option, text: str) -> float:
    return _number(option, text, float, "a number")


def _expected(option: Option, what: str) -> str:
    unit = f" (in {option.unit}, without the unit)" if option.unit else ""
    limits = f" {option.limits}" if option.limits else ""
    return f"must be {what}{limits}{unit}"


def _floats(option: Option, text: str) -> tuple[float, ...]:
    items = text.strip("[]()").replace(",", " ").split()
    if not items:
        raise ValueError(_expected(option, "a list of numbers"))
    return tuple(_float(option, item) for item in items)


def _limits(option: Option, text: str) -> tuple[float, float]:
    numbers = _floats(option, text)
    if len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise ValueError(_expected(option, "two numbers, the smaller first"))
    return numbers[0], numbers[1]


def _scales(option: Option, text: str) -> tuple[float, ...] | None:
    return None if text.lower() == "auto" else _floats(option, text)


def _count(option: Option, text: str) -> int | None:
    if text.lower() == "auto":
        return None
    try:
        return _int(option, text)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def _choice(option: Option, text: str) -> str:
    for choice in option.choices:
        if text.lower() == choice.lower():
            return choice
    raise ValueError(f"must be {option.limits}")


def _text(_: Option, text: str) -> str:
    return text


def _path(_: Option, text: str) -> Path:
    # Not resolved: the user's own name of a folder, links and all, is the one to show.
    return Path(os.path.normpath(Path(text.strip("\"'")).expanduser().absolute()))


def _sexagesimal(text: str) -> float | None:
    match = _SEXAGESIMAL.fullmatch(text.replace(" ", ""))
    if match is None or float(match["minutes"]) >= 60 or float(match["seconds"]) >= 60:
        return None
    value = int(match["first"]) + float(match["minutes"]) / 60 + float(match["seconds"]) / 3600
    return -value if match["sign"] == "-" else value


def _angle(text: str, degrees_per_unit: float) -> float | None:
    """Degrees, from sexagesimal text or from a number of degrees."""
    sexagesimal = _sexagesimal(text)
    if sexagesimal is not None:
        return sexagesimal * degrees_per_unit
    try:
        return float(text)
    except ValueError:
        return None


def _ra(_: Option, text: str) -> float:
    degrees = _angle(text, 15.0)
    if degrees is None or not 0 <= degrees < 360:
        raise ValueError("must be a right ascension, such as 14h41m01.884s or 220.2579 (degrees)")
    return degrees


def _dec(_: Option, text: str) -> float:
    degrees = _angle(text, 1.0)
    if degrees is None or not -90 <= degrees <= 90:
        raise ValueError("must be a declination, such as +35d30m31.52s or 35.5088 (degrees)")
    return degrees


def _groupings(_: Option, text: str) -> tuple[tuple[int, int], ...]:
    expected = "must be pairs size:total such as 1:5, 4:0 (a total of 0, all the rest, comes last)"
    pairs = []
    for item in text.strip("[]()").split(","):
        match = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", item)
        if match is None:
            raise ValueError(expected)
        pairs.append((int(match[1]), int(match[2])))
    if any(size < 1 for size, _total in pairs) or any(total == 0 for _size, total in pairs[:-1]):
        raise ValueError(expected)
    return tuple(pairs)


_PARSERS: dict[Kind, Callable[[Option, str], Any]] = {
    Kind.BOOL: _bool,
    Kind.INT: _int,
    Kind.FLOAT: _float,
    Kind.FLOATS: _floats,
    Kind.LIMITS: _limits,
    Kind.SCALES: _scales,
    Kind.COUNT: _count,
    Kind.CHOICE: _choice,
    Kind.TEXT: _text,
    Kind.FILE: _path,
    Kind.FOLDER: _path,
    Kind.NEW_FOLDER: _path,
    Kind.RA: _ra,
    Kind.DEC: _dec,
    Kind.GROUPINGS: _groupings,
}
