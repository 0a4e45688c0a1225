"""Versions of the tools, for the headers of what they made and for its archives."""

from __future__ import annotations

import hashlib
import re
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

from factor import __version__
from factor.errors import InputError, check_all
from factor.tools import runner
from factor.tools.command import Command
from factor.tools.environment import Tools

_SAID = {
    "DP3": re.compile(r"^DP3 (\d\S*)", re.MULTILINE),
    "WSClean": re.compile(r"^WSClean version (\S+)", re.MULTILINE),
}

#: The Python packages whose versions matter, by the names of what they bring.
_PACKAGES = {"casacore": "python-casacore", "EveryBeam": "everybeam", "LoSoTo": "losoto"}


@cache
def factor_version() -> str:
    """Factor's version with a checksum of its code, which differs between two commits and after a change."""
    return f"{__version__}+{code_checksum(Path(__file__).parents[1])}"


def code_checksum(package: Path) -> str:
    """Eight digits that tell the modules in a folder from others."""
    code = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        code.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return code.hexdigest()[:8]


def package_version(package: str) -> str:
    """Version of a Python package; empty when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def version_in_log(tool: str, log: Path) -> str:
    """The version that a tool told last in a log; empty when it told none."""
    return _last_said(tool, log.read_text(errors="replace")) if log.is_file() else ""


def _last_said(tool: str, text: str) -> str:
    said = _SAID[tool].findall(text)
    return str(said[-1]) if said else ""


def version_text(tools: Tools, program: Path) -> str:
    """What a tool says when it is asked for its version.

    Raises
    ------
    InputError
        When it cannot even do that: a library that it needs is missing, for example.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        command = Command(program.name, (str(program), "--version"), (), tools.environment)
        error = runner.run(command, out, Path(folder) / "err").error
        if error:
            raise InputError(
                f"{program} does not start: {error}",
                f"mend its installation until '{program} --version' works",
            )
        return out.read_text(errors="replace")


def tell_versions(tools: Tools) -> list[str]:
    """Each tool with its version, where it tells one, and its place.

    Raises
    ------
    InputError
        With each tool that does not start.
    """
    lines: list[str] = []

    def ask(name: str, program: Path) -> None:
        version = _last_said(name, version_text(tools, program))
        lines.append(f"{name} {version or 'of unknown version'} ({program})")

    check_all(lambda: ask("DP3", tools.dp3), lambda: ask("WSClean", tools.wsclean))
    return lines


def installed_versions(tools: Tools | None) -> dict[str, str]:
    """Versions of Factor and of all that it works with; without those that are not known."""
    found = {"Factor": factor_version(), "DP3": package_version("dp3")}
    if tools is not None:
        for name, program in (("DP3", tools.dp3), ("WSClean", tools.wsclean)):
            found[name] = _last_said(name, version_text(tools, program)) or found.get(name, "")
    found |= {name: package_version(package) for name, package in _PACKAGES.items()}
    return {name: version for name, version in found.items() if version}
