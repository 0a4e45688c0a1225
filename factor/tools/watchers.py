"""What a tool's log says about its fate: the exit status is one vote, this is another."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Lines that mean failure although the tool may exit with 0.
_FATAL = {
    "WSClean": re.compile(r"An exception occur|std::bad_alloc|free\(\)|double free|Segmentation"),
    "DP3": re.compile(r"^(RuntimeError|std exception detected|terminate called)|Segmentation fault"),
}

#: Lines that carry the reason of a failure, most telling first.
_REASONS = {
    "WSClean": (
        r"^\+?\s*>>> (.*)$",
        r"^\s*(?:> )?(.*(?:[Ee]rror|[Ee]xception|bad_alloc|double free|not found).*)$",
    ),
    "DP3": (
        r"^(?:RuntimeError|ValueError|Exception|OSError): (.*)$",
        r"^(?:std exception detected|what\(\)): ?(.*)$",
        r"^(.*(?:[Ee]rror|[Ee]xception).*)$",
    ),
}

#: What helps where the cause of a failure is well known.
_ADVICE = (
    (r"no space left|quota exceeded",
     "a disk is full: make room where dir_working, dir_local and dir_local_selfcal are"),
    (r"ended by SIGKILL|bad_alloc|cannot allocate memory|out of memory",
     "most likely memory ran out (dmesg tells): lower wsclean_fmem or ndir_per_node"),
    (r"ended by SIG(SEGV|ABRT|ILL|BUS)",
     "the tool itself crashed: run its command by hand, and try another version of the tool"),
    (r"too many open files", "allow more open files: ulimit -n 8192"),
    (r"permission denied|read-only file system", "Factor must be allowed to write there"),
)  # fmt: skip

_NOISE = re.compile(r"An exception occur|^Traceback|^\s*File \"")


def fatal_line(tool: str, lines: Sequence[str]) -> str | None:
    """The first line that means that the tool failed, whatever its exit status."""
    pattern = _FATAL.get(tool)
    if pattern is None:
        return None
    return next((line.strip() for line in lines if pattern.search(line)), None)


def last_error(tool: str, lines: Sequence[str]) -> str:
    """The tool's own last error among the lines of its output (the last line if none stands out)."""
    useful = [line for line in lines if line.strip() and not _NOISE.search(line)]
    for pattern in _REASONS.get(tool, ()):
        for line in reversed(useful):
            match = re.match(pattern, line)
            if match and match.group(1).strip():
                return match.group(1).strip()
    return useful[-1].strip() if useful else "it said nothing"


def advice(error: str) -> str:
    """What helps against a failure; empty where its cause is not well known.

    Parameters
    ----------
    error : str
        The tool's or the system's own error.
    """
    return next((help_ for cause, help_ in _ADVICE if re.search(cause, error, re.IGNORECASE)), "")
