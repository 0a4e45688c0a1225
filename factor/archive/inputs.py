"""The user's own files of a run, the parset and what it and the directions name; their paths elsewhere."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from factor.archive.copying import Item
from factor.directions.file import read_directions
from factor.parset import Settings
from factor.parset.option import Option
from factor.parset.schema import INIT_SKYMODEL, SECTIONS
from factor.workspace import Workspace

log = logging.getLogger("factor.archive")

#: Options whose folders may not be there on another machine.
_LOCAL = ("dir_local", "dir_local_selfcal")


@dataclass(frozen=True)
class UserFiles:
    """The user's files, as items of an archive.

    Attributes
    ----------
    items : tuple of Item
        The parset first.
    options : mapping of str to str
        Options of the parset that name files: where these are in a restored working directory.
    words : mapping of str to (mapping of str to str)
        For files that name others: words in them, and where what they name is restored.
    """

    items: tuple[Item, ...]
    options: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]


def user_files(settings: Settings, workspace: Workspace) -> UserFiles:
    """Find the parset and all files that it and the directions files name."""
    named = _named(settings)
    lists = [named.get("directions_file"), named.get("outliers_file")]
    listed = {path: _members(path) for path in lists if path is not None and path.is_file()}
    items = [Item(settings.path, "misc/factor.parset", (workspace.relative(workspace.parset),))]
    places: dict[Path, str] = {}
    for path in (*named.values(), *(member for members in listed.values() for member in members)):
        if path.resolve() in places:
            continue
        if not path.is_file():
            log.warning("%s is named in %s, but it is gone: the archive lacks it", path, settings.path)
            continue
        name = _free_name(path.name, {place.rpartition("/")[2] for place in places.values()})
        places[path.resolve()] = workspace.relative(workspace.inputs / name)
        items.append(Item(path, f"misc/inputs/{name}", (places[path.resolve()],)))
    texts = [*listed, workspace.directions_file]
    words = {
        places.get(path.resolve(), workspace.relative(path)): _words(path, places)
        for path in texts
        if path.is_file()
    }
    options = {name: places[path.resolve()] for name, path in named.items() if path.resolve() in places}
    return UserFiles(tuple(items), options, {file: found for file, found in words.items() if found})


def _named(settings: Settings) -> dict[str, Path]:
    paths = {
        "directions_file": settings.directions.directions_file,
        "outliers_file": settings.directions.outliers_file,
        "faceting_skymodel": settings.directions.faceting_skymodel,
        "astrometry_catalogue": settings.calibration.astrometry_catalogue,
    }
    return {name: path for name, path in paths.items() if path is not None}


def _members(directions_file: Path) -> list[Path]:
    """Masks and models that a directions file names."""
    return [
        Path(name)
        for direction in read_directions(directions_file)
        for name in (direction.region_selfcal, direction.region_facet, direction.peel_skymodel)
        if name is not None
    ]


def _free_name(name: str, taken: Iterable[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{number}_{name}"
    return free


def _words(file: Path, places: Mapping[Path, str]) -> dict[str, str]:
    found = {}
    for word in set(file.read_text(errors="replace").split()):
        for candidate in (file.parent / word, Path(word)):
            if "/" in word + str(candidate) and candidate.resolve() in places:
                found[word] = places[candidate.resolve()]
                break
    return found


def with_words(text: str, words: Mapping[str, str], root: Path) -> str:
    """A text whose words that name files name those in a restored working directory."""
    return "".join(str(root / words[part]) if part in words else part for part in re.split(r"(\s+)", text))


def with_root(text: str, old: str, new: Path) -> str:
    """The text of a JSON file in which paths below one folder lie below another."""
    before, after = json.dumps(old)[1:-1], json.dumps(str(new))[1:-1]
    return re.sub(re.escape(before) + r"(?=[/\"\\\s,;:\]')]|$)", lambda _: after, text)


def restored_parset(
    text: str, options: Mapping[str, str], workspace: Workspace, dir_ms: Path | None = None
) -> str:
    """A parset's text for a restored working directory: its paths lead there, all else stays.

    Parameters
    ----------
    text : str
        The parset of the run.
    options : mapping of str to str
        Options that name files, and where these are in the working directory.
    workspace : Workspace
        The restored working directory.
    dir_ms : Path, optional
        The input data; the chunks of the working directory when not given.
    """
    new = {name: str(workspace.resolve(path)) for name, path in options.items()}
    new |= {"dir_working": str(workspace.root), "dir_ms": str(dir_ms or workspace.chunks)}
    names = {
        name: option.attribute for option in _options() for name in (option.attribute, *option.old_names)
    }
    lines = [_restored_line(line, names, new) for line in text.splitlines()]
    return "\n".join(lines) + "\n"


def with_skymodels(text: str, models: Mapping[str, Path]) -> str:
    """A parset's text that names the initial sky models of measurement sets."""
    lines = [line for line in text.splitlines() if line.strip() not in {f"[{name}]" for name in models}]
    lines += [f"[{name}]\n{INIT_SKYMODEL.name} = {path}" for name, path in models.items()]
    return "\n".join(lines) + "\n"


def _options() -> list[Option]:
    return [option for section in SECTIONS for option in section.options]


def _restored_line(line: str, names: Mapping[str, str], new: Mapping[str, str]) -> str:
    match = re.match(r"\s*([^#;\[=:\s][^=:]*?)\s*[=:]\s*(.*?)\s*$", line)
    if match is None:
        return line
    option = names.get(match[1].lower(), match[1].lower())
    if option in new:
        return f"{match[1]} = {new[option]}"
    if option == INIT_SKYMODEL.name:
        return f"# beside the chunks: {line.strip()}"
    if option in _LOCAL and not Path(match[2]).is_dir():
        return f"# not there when the archive was restored: {line.strip()}"
    return line
