"""What one option of the parset is: name, kind, unit, default, limits and help."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """How the text of an option is read, and what it becomes."""

    BOOL = "True or False"
    INT = "whole number"
    FLOAT = "number"
    FLOATS = "number or list of numbers"
    LIMITS = "two numbers"
    SCALES = "auto or list of numbers"
    COUNT = "whole number or auto"
    CHOICE = "word"
    TEXT = "text"
    FILE = "file"
    FOLDER = "folder"
    NEW_FOLDER = "folder, made when it is missing"
    RA = "right ascension"
    DEC = "declination"
    GROUPINGS = "list of size:total"


@dataclass(frozen=True)
class Option:
    """One option of the parset.

    Attributes
    ----------
    name : str
        Name as the documentation writes it; case does not matter in a parset.
    kind : Kind
        How its text is read.
    default : object
        Its value when it is absent; None when Factor decides.
    help : str
        What it does, in full sentences.
    unit : str
        Unit of its number or numbers.
    default_text : str
        How the documentation writes the default, where it is more than the value.
    old_names : tuple of str
        Former names, still understood.
    minimum, maximum : float or None
        Smallest and largest value allowed.
    above : float or None
        Value that must be exceeded.
    choices : tuple of str
        The words allowed.
    required : bool
        Whether a parset must give it.
    implemented : bool
        Whether it has its effect in this version; otherwise only its default is accepted.
    example : str
        A typical value, for the documentation and the example parset.
    """

    name: str
    kind: Kind
    default: Any
    help: str
    unit: str = ""
    default_text: str = ""
    old_names: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False
    implemented: bool = True
    example: str = ""

    @property
    def attribute(self) -> str:
        """Name of the attribute of the settings."""
        return self.name.lower()

    @property
    def limits(self) -> str:
        """The values allowed, as a phrase for messages and documentation (may be empty)."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f"between {low:g} and {high:g}"
        if self.above is not None and high is not None:
            return f"above {self.above:g} and at most {high:g}"
        if low is not None:
            return f"at least {low:g}"
        if self.above is not None:
            return f"above {self.above:g}"
        return "" if high is None else f"at most {high:g}"

    def allows(self, number: float) -> bool:
        """Whether a number lies within the limits."""
        return (
            (self.minimum is None or number >= self.minimum)
            and (self.maximum is None or number <= self.maximum)
            and (self.above is None or number > self.above)
        )


@dataclass(frozen=True)
class Section:
    """A section of the parset.

    Attributes
    ----------
    name : str
        Name in brackets.
    attribute : str
        Name of the attribute of the settings.
    help : str
        What the section is about.
    options : tuple of Option
        Its options, in the order of the documentation.
    """

    name: str
    attribute: str
    help: str
    options: tuple[Option, ...]
