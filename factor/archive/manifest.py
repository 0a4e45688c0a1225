"""MANIFEST.json: what an archive holds, with sizes and checksums, and where a restored run has it."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from factor.errors import FactorError, InputError
from factor.state.store import read_json, write_json

NAME = "MANIFEST.json"

#: The manifest of an archive that is being added to.
EARLIER_NAME = ".MANIFEST.json.earlier"

#: Format of the manifest; a newer one is refused.
VERSION = 1

_FORMAT = "Factor archive"
_DAMAGED = "copy the archive again, or make it again with archivefactor"

#: Problems that are told one by one.
_TOLD = 20


@dataclass(frozen=True)
class FileSum:
    """A file of an entry.

    Attributes
    ----------
    path : str
        Relative to the entry; empty for an entry that is a file.
    size : int
        Bytes.
    sha256 : str
        Checksum of the content.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A file or a measurement set of an archive.

    Attributes
    ----------
    path : str
        In the archive.
    files : tuple of FileSum
        What it consists of.
    restores : tuple of str
        Where it goes in a restored working directory; empty for what a run does not need.
    """

    path: str
    files: tuple[FileSum, ...]
    restores: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """What an archive is.

    Attributes
    ----------
    created : str
        ISO 8601 in UTC.
    resumable : bool
        Whether a run can be restored from it.
    dir_working : str
        Where the run was.
    entries : tuple of Entry
        All that it holds.
    versions : mapping of str to str
        Of the tools.
    parset : str
        The parset, in the archive.
    options : mapping of str to str
        Options of the parset that name files, with the files in a restored working directory.
    words : mapping of str to (mapping of str to str)
        The same for the words of other files, by the file.
    images : mapping of str to str
        Factor's own names of the images by their names in the archive.
    """

    created: str
    resumable: bool
    dir_working: str
    entries: tuple[Entry, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    parset: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of an archive, which makes it complete."""
    write_json(folder / NAME, {"format": _FORMAT, **asdict(manifest)}, VERSION)
    (folder / EARLIER_NAME).unlink(missing_ok=True)


def read_earlier(folder: Path) -> Manifest | None:
    """The manifest of an archive that is to be added to, also of one that was interrupted."""
    for name in (NAME, EARLIER_NAME):
        if (folder / name).is_file():
            return _read(folder / name)
    return None


def set_aside(folder: Path) -> None:
    """Make an archive incomplete while something is added to it."""
    if (folder / NAME).is_file():
        (folder / NAME).replace(folder / EARLIER_NAME)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an archive.

    Raises
    ------
    InputError
        When the folder is not a complete archive, or its manifest is damaged or of a newer format.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    if not (folder / NAME).is_file() or (folder / NAME).is_symlink():
        raise InputError(
            f"{folder} is not a complete archive of Factor: it has no {NAME}",
            "if archivefactor was interrupted, run it again; archives of the first Factor "
            "can't be restored, but their chunks serve as dir_ms",
        )
    try:
        return _read(folder / NAME)
    except FactorError as error:
        # As in a working directory; but here it is what the user gave.
        raise InputError(error.message, error.hint) from error


def _read(path: Path) -> Manifest:
    content = read_json(path, VERSION, _DAMAGED)
    if content is None or content.get("format") != _FORMAT:
        raise FactorError(f"{path} is not of an archive of Factor", _DAMAGED)
    try:
        return _manifest(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FactorError(f"{path} is damaged: wrong or missing entry {error}", _DAMAGED) from error


def _manifest(content: Mapping[str, Any]) -> Manifest:
    return Manifest(
        created=str(content["created"]),
        resumable=bool(content["resumable"]),
        dir_working=str(content["dir_working"]),
        entries=tuple(_entry(entry) for entry in content["entries"]),
        versions=_texts(content["versions"]),
        parset=safe(content["parset"]) if content["parset"] else "",
        options={option: safe(path) for option, path in content["options"].items()},
        words={
            safe(file): {word: safe(path) for word, path in words.items()}
            for file, words in content["words"].items()
        },
        images=_texts(content["images"]),
    )


def _texts(content: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in content.items()}


def _entry(content: Mapping[str, Any]) -> Entry:
    files = tuple(
        FileSum(safe(f["path"]) if f["path"] else "", int(f["size"]), str(f["sha256"]))
        for f in content["files"]
    )
    return Entry(safe(content["path"]), files, tuple(safe(path) for path in content["restores"]))


def safe(text: str) -> str:
    """A path that cannot lead out of the folder that it is relative to.

    Raises
    ------
    ValueError
        When it could.
    """
    path = PurePosixPath(text)
    odd = "\0" in text or "\\" in text or not text or str(path) != text
    if odd or path.is_absolute() or ".." in path.parts or text == ".":
        message = f"the path {text!r} leads out of the archive or is not plain"
        raise ValueError(message)
    return text


def parts(entry: Entry) -> Iterator[tuple[str, FileSum]]:
    """The files of an entry with their paths in the archive."""
    for file in entry.files:
        yield (f"{entry.path}/{file.path}" if file.path else entry.path), file


def problems_of_files(folder: Path, entries: Sequence[Entry]) -> list[str]:
    """What is wrong with an archive's files, without reading them: missing, links, other sizes."""
    problems = []
    for entry in entries:
        for path, file in parts(entry):
            problem = _problem(folder, path, file.size)
            if problem:
                problems.append(f"{folder / path}: {problem}")
    if len(problems) > _TOLD:
        problems[_TOLD:] = [f"and {len(problems) - _TOLD} more files"]
    return problems


def _problem(folder: Path, path: str, size: int) -> str:
    real = folder.resolve() / path
    try:
        if real.resolve() != real:
            return "is, or lies below, a symbolic link"
        status = real.stat()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    if status.st_size != size:
        return f"has {status.st_size} bytes, the manifest says {size}"
    return ""
