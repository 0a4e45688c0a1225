"""Reading a parset: every problem is found before the first is told."""

from __future__ import annotations

import configparser
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from factor.errors import InputError
from factor.parset import checks, settings, values
from factor.parset.option import Option, Section
from factor.parset.schema import (
    INIT_SKYMODEL,
    MS_ENDINGS,
    RETIRED_CLUSTERS,
    RETIRED_OPTIONS,
    SECTIONS,
)

_CLASSES: Mapping[str, type[Any]] = {
    "global": settings.GlobalSettings,
    "calibration": settings.CalibrationSettings,
    "verdict": settings.VerdictSettings,
    "imaging": settings.ImagingSettings,
    "directions": settings.DirectionsSettings,
    "cluster": settings.ClusterSettings,
    "checkfactor": settings.CheckfactorSettings,
}


def load(path: Path, check_paths: bool = True) -> settings.Settings:
    """Read and check a parset.

    Parameters
    ----------
    path : Path
        The parset.
    check_paths : bool
        Whether the files and folders that it names must be there.

    Returns
    -------
    Settings
        With absolute paths (relative ones count from the current folder).

    Raises
    ------
    InputError
        With all problems at once, each naming file, section, option, value and limit.
    """
    return load_text(_text_of(path), path, check_paths)


def working_directory(path: Path) -> Path:
    """Only the working directory that a parset names: all that watching a run needs.

    The rest is not looked at: the data may be gone, and options may be wrong by now.

    Raises
    ------
    InputError
        When the parset cannot be read, or names none.
    """
    reader = _Reader(path, check_paths=False)
    sections = reader.sections(_text_of(path))
    section = _section("global")
    option = next(option for option in section.options if option.attribute == "dir_working")
    _, text = reader.take(section, option, sections.get("global", {}))
    if values.is_unset(text):
        raise InputError(f"{path}: [global] dir_working: is required", "give the parset of the run")
    value: Path = values.parse(option, text)
    return value


def checkfactor_section(path: Path) -> settings.CheckfactorSettings:
    """Only the section ``[checkfactor]`` of a parset: the rest may be wrong by now.

    Raises
    ------
    InputError
        When the parset cannot be read, or a value of this section is wrong.
    """
    reader = _Reader(path, check_paths=False)
    section = _section("checkfactor")
    values_of, _ = reader.section(section, reader.sections(_text_of(path)).get(section.name, {}))
    if reader.problems:
        raise InputError(reader.problems)
    return settings.CheckfactorSettings(**values_of)


def _section(name: str) -> Section:
    return next(section for section in SECTIONS if section.name == name)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8 ({error.reason})") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot read the parset: {error.strerror}",
            "examples/factor.parset is one to start from",
        ) from error


def load_text(text: str, path: Path, check_paths: bool = True) -> settings.Settings:
    """Read and check the text of a parset; like `load`."""
    return _Reader(path, check_paths).read(text)


class _Reader:
    """Gathers values, problems and notes of one parset."""

    def __init__(self, path: Path, check_paths: bool) -> None:
        self.path = path
        self.check_paths = check_paths
        self.problems: list[str] = []
        self.unknown: list[str] = []
        self.notes: list[str] = []

    def read(self, text: str) -> settings.Settings:
        raw = self.sections(text)
        values_of: dict[str, dict[str, Any]] = {}
        given: dict[str, set[str]] = {}
        for section in SECTIONS:
            values_of[section.name], given[section.name] = self.section(section, raw.pop(section.name, {}))
        init_skymodels = self._other_sections(raw)
        self.problems += [f"{self.path}: {p}" for p in checks.problems(values_of, given)]
        if self.problems or values_of["global"]["strict"]:
            # A misspelt name may be the reason of another problem: an option that is missing.
            self.problems += self.unknown
        if self.problems:
            raise InputError(self.problems)
        self.notes += [f"{problem} It has no effect." for problem in self.unknown]
        checks.fill_defaults(values_of)
        sections = {
            section.attribute: _CLASSES[section.name](**values_of[section.name]) for section in SECTIONS
        }
        return settings.Settings(
            path=self.path, init_skymodels=init_skymodels, notes=tuple(self.notes), **sections
        )

    def sections(self, text: str) -> dict[str, dict[str, str]]:
        """What is written, by section and option."""
        parser = self._parsed(text)
        return {name: dict(parser.items(name)) for name in parser.sections()}

    def _parsed(self, text: str) -> configparser.ConfigParser:
        parser = configparser.ConfigParser(
            interpolation=None,
            inline_comment_prefixes=("#", ";"),
            default_section="",
            allow_no_value=False,
        )
        # Indented lines would count as continuations of the option above them.
        flat = "\n".join(line.strip() for line in text.splitlines())
        try:
            parser.read_string(flat, source=str(self.path))
        except configparser.MissingSectionHeaderError as error:
            raise InputError(
                f"{self.path}: line {error.lineno}: {error.line.strip()!r} stands before the first section",
                "begin the parset with [global]",
            ) from error
        except configparser.DuplicateSectionError as error:
            raise InputError(
                f"{self.path}: line {error.lineno}: section [{error.section}] occurs twice"
            ) from error
        except configparser.DuplicateOptionError as error:
            raise InputError(
                f"{self.path}: line {error.lineno}: [{error.section}] {error.option} is given twice"
            ) from error
        except configparser.ParsingError as error:
            raise InputError([
                f"{self.path}: line {number}: cannot read {line} (option = value is expected)"
                for number, line in error.errors
            ]) from error
        return parser

    def _where(self, section: str, option: str = "", text: str | None = None) -> str:
        place = f"{self.path}: [{section}]"
        if option:
            place += f" {option}"
        return place if text is None else f"{place} = {text}"

    # -- sections of the schema -----------------------------------------------------

    def section(self, section: Section, raw: dict[str, str]) -> tuple[dict[str, Any], set[str]]:
        """Values by attribute, and the attributes that are given, valid or not."""
        found: dict[str, Any] = {option.attribute: option.default for option in section.options}
        given: set[str] = set()
        for option in section.options:
            name, text = self.take(section, option, raw)
            if name is None or values.is_unset(text):
                if option.required:
                    self.problems.append(
                        f"{self._where(section.name, option.name)}: is required"
                        + (f", e.g. {option.name} = {option.example}" if option.example else "")
                    )
                continue
            given.add(option.attribute)
            value = self._value(section.name, option, name, text)
            if value is not _INVALID:
                found[option.attribute] = value
        for name, text in raw.items():
            self._leftover(section, name, text)
        return found, given

    def take(self, section: Section, option: Option, raw: dict[str, str]) -> tuple[str | None, str]:
        """Name under which an option is given and its text, taken out of the section."""
        names = [n for n in (option.attribute, *option.old_names) if n in raw]
        texts = [raw.pop(n) for n in names]
        if not names:
            return None, ""
        if len(names) > 1:
            self.problems.append(
                f"{self._where(section.name)}: {' and '.join(names)} are the same option; "
                f"keep {option.name} alone"
            )
        elif names[0] in option.old_names:
            self.notes.append(f"{self._where(section.name)}: {names[0]} is the old name of {option.name}")
        shown = option.name if names[0] == option.attribute else names[0]
        return shown, texts[0]

    def _value(self, section: str, option: Option, name: str, text: str) -> Any:
        """Value of an option, or _INVALID once its problem is noted."""
        where = self._where(section, name, text)
        if option.attribute == "clusterdesc_file" and text in RETIRED_CLUSTERS:
            self.notes.append(f"{where}: has no effect any more; Factor runs on this machine")
            return option.default
        try:
            value = values.parse(option, text)
        except ValueError as error:
            self.problems.append(f"{where}: {error}")
            return _INVALID
        too_early = _not_available(option, value)
        if too_early:
            self.problems.append(f"{where}: {too_early}")
            return _INVALID
        if self.check_paths and isinstance(value, Path):
            missing = values.missing_path(option, value)
            if missing:
                self.problems.append(f"{where}: {missing} ({value})")
                return _INVALID
        return value

    def _leftover(self, section: Section, name: str, text: str) -> None:
        where = self._where(section.name, name)
        if name in RETIRED_OPTIONS:
            self.notes.append(f"{where}: has no effect any more; it can be removed")
            return
        elsewhere = [s.name for s in SECTIONS for o in s.options if name in (o.attribute, *o.old_names)]
        if elsewhere:
            advice = f", it belongs in section [{elsewhere[0]}]."
        else:
            advice = _did_you_mean(name, [option.name for option in section.options])
        self.unknown.append(f"{where} = {text}: unknown option{advice}")

    # -- other sections -------------------------------------------------------------

    def _other_sections(self, raw: dict[str, dict[str, str]]) -> dict[str, Path]:
        """Sky models of the sections that are named after measurement sets."""
        init_skymodels: dict[str, Path] = {}
        for section, options in raw.items():
            if INIT_SKYMODEL.name not in options and not section.endswith(MS_ENDINGS):
                advice = _did_you_mean(section, [s.name for s in SECTIONS])
                self.unknown.append(f"{self._where(section)}: unknown section{advice}")
                continue
            for name, text in options.items():
                if name != INIT_SKYMODEL.name:
                    advice = _did_you_mean(name, [INIT_SKYMODEL.name])
                    self.unknown.append(f"{self._where(section, name, text)}: unknown option{advice}")
                elif not values.is_unset(text):
                    value = self._value(section, INIT_SKYMODEL, name, text)
                    if value is not _INVALID:
                        init_skymodels[Path(section).name] = value
        return init_skymodels


_INVALID = object()


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    by_lower = {k.lower(): k for k in known}
    nearest = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f", did you mean {by_lower[nearest[0]]}?" if nearest else "."


def _not_available(option: Option, value: Any) -> str:
    """Why this version refuses a value that is valid in itself, or an empty text."""
    if not option.implemented and value != option.default:
        remedy = "" if option.default is None else f" or set it to {option.default}"
        return f"is not available yet in this version; remove it{remedy}"
    return ""
