"""Versions of the tools, for the headers of what they made."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

_SAID = {"WSClean": re.compile(r"^WSClean version (\S+)", re.MULTILINE)}


def package_version(package: str) -> str:
    """Version of a Python package; empty when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def version_in_log(tool: str, log: Path) -> str:
    """The version that a tool told last in a log; empty when it told none."""
    if not log.is_file():
        return ""
    said = _SAID[tool].findall(log.read_text(errors="replace"))
    return str(said[-1]) if said else ""
