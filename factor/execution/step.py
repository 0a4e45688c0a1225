"""A step: what is to be done, what it reads and leaves, as a value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from factor.files import DIGEST_LENGTH, content_digest
from factor.tools.command import Command


@dataclass(frozen=True)
class Call:
    """A function of Factor's own that makes the outputs of a step.

    Attributes
    ----------
    function : callable
        Takes the arguments by name; what it returns is ignored: results are files.
    arguments : mapping
        Paths, numbers, strings and frozen values.
    """

    function: Callable[..., Any]
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One step of an operation.

    Attributes
    ----------
    name : str
        What it does, unique within the operation and direction.
    action : Command or Call
        What runs.
    reads : tuple of Path or str
        Files that it depends on; a string stands for a state that is not a file,
        e.g. the subtractions that a chunk has seen.
    outputs : tuple of Path
        Files or measurement sets that it leaves.
    cpus : int
        Processors that it keeps busy.
    check : Call or None
        Refuses outputs that cannot be right, with a FactorError: the step has failed then.
    otherwise : (Command, Call) or None
        Another way to make them, taken when they were refused, and its own check.
    """

    name: str
    action: Command | Call
    reads: tuple[Path | str, ...]
    outputs: tuple[Path, ...]
    cpus: int = 1
    check: Call | None = None
    otherwise: tuple[Command, Call] | None = None


def plain(value: Any) -> Any:
    """A value as JSON can hold it, the same in every run."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Path):
        return str(value)
    message = f"a step's argument cannot be a {type(value).__name__}"
    raise TypeError(message)


def canonical_action(action: Command | Call) -> str:
    """What of an action decides its result, as text.

    The folder of the program is left out: another installation of the same tool does
    not make a step stale.
    """
    if isinstance(action, Command):
        return json.dumps([action.tool, *action.argv[1:]])
    name = f"{action.function.__module__}.{action.function.__qualname__}"
    return json.dumps([name, plain(action.arguments)])


def digest(*parts: str) -> str:
    """A short fingerprint of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:DIGEST_LENGTH]


def file_digest(path: Path) -> str:
    """A fingerprint of a file's content, or of a folder by the sizes of what is in it."""
    if path.is_dir():
        inside = sorted((str(f.relative_to(path)), f.stat().st_size) for f in path.rglob("*"))
        return digest(json.dumps(inside))
    if not path.exists():
        return "absent"
    return content_digest(path)
