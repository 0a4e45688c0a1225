"""Finding the tools, and the environment that they and Factor itself need.

Users never set any of this: the measures tables of casacore, the coefficients of
EveryBeam and the number of threads of OpenBLAS are taken care of here. What the user
has set comes first.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from factor.errors import InputError
from factor.files import whole

#: Names under which DP3 is installed: today's, the wheel's script, and the old one.
DP3_NAMES = ("DP3", "DP3.py", "DPPP")


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _user_casarc_files() -> list[Path]:
    listed = os.environ.get("CASARCFILES", "")
    files = [Path(p) for p in listed.replace(":", " ").split()]
    files += [Path.home() / ".casarc", Path.home() / ".casa" / "rc"]
    return [f for f in files if f.is_file()]


def _cache_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "factor"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="factor-"))


def _casarc_environment() -> dict[str, str]:
    """CASARCFILES that leads casacore to measures data, or nothing when the user's own does."""
    user = _user_casarc_files()
    if any("measures.directory" in f.read_text(errors="replace") for f in user):
        return {}
    package = _package_folder("casacore")
    data = package / "data" if package else None
    if data is None or not data.is_dir():
        return {}
    text = "".join(f.read_text(errors="replace").rstrip("\n") + "\n" for f in user)
    text += f"measures.directory: {data}\n"
    # Another installation has a file of its own: it must not lead this one's runs to its data.
    casarc = _cache_folder() / f"casarc-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not casarc.exists() or casarc.read_text() != text:
        with whole(casarc) as draft:
            draft.write_text(text)
    return {"CASARCFILES": str(casarc)}


@functools.cache
def _additions() -> tuple[tuple[str, str], ...]:
    """Variables that the tools need beside the user's own, seen before `prepare` sets them."""
    variables = {"OPENBLAS_NUM_THREADS": "1"}
    variables.update(_casarc_environment())
    coefficients = Path(sys.prefix) / "share" / "everybeam"
    if "EVERYBEAM_DATADIR" not in os.environ and coefficients.is_dir():
        variables["EVERYBEAM_DATADIR"] = str(coefficients)
    return tuple(sorted(variables.items()))


def tool_environment() -> dict[str, str]:
    """Variables that DP3, WSClean, EveryBeam and casacore need beside the user's own."""
    return dict(_additions())


def prepare() -> None:
    """Set the environment of this process; must come before casacore or everybeam is imported."""
    os.environ.update(tool_environment())


@dataclass(frozen=True)
class Tools:
    """The programs that Factor drives, and the environment of their processes."""

    dp3: Path
    wsclean: Path
    environment: tuple[tuple[str, str], ...] = ()


def _find(names: tuple[str, ...], variable: str) -> Path | None:
    chosen = os.environ.get(variable)
    if chosen:
        found = shutil.which(chosen)
        return Path(found) if found else None
    own_bin = Path(sys.executable).parent
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=str(own_bin))
        if found:
            return Path(found)
    return None


def find_tools() -> Tools:
    """Look for DP3 and WSClean on the PATH and beside the running Python.

    The environment variables FACTOR_DP3 and FACTOR_WSCLEAN name another program.

    Raises
    ------
    InputError
        When a tool is missing; all missing ones are named at once.
    """
    wanted = (
        ("DP3", DP3_NAMES, "FACTOR_DP3", "install DP3 (pip install dp3, or your cluster's module)"),
        ("WSClean", ("wsclean",), "FACTOR_WSCLEAN", "install WSClean (apt install wsclean)"),
    )
    problems = []
    found: dict[str, Path] = {}
    for title, names, variable, advice in wanted:
        path = _find(names, variable)
        if path is None:
            tried = os.environ.get(variable) or ", ".join(names)
            problems.append(f"{title} was not found (looked for {tried} on the PATH): {advice}, "
                            f"or name it in the environment variable {variable}")
        else:
            found[title] = path
    if problems:
        raise InputError(problems)
    return Tools(found["DP3"], found["WSClean"], _additions())
