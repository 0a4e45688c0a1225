"""Make a simulated LOFAR field whose truth is known: ``python examples/simulate.py DIR``.

The folder then holds ``ms/`` (the field as prefactor's initial subtraction leaves it),
``ideal/`` (the same without direction-dependent effects) and ``truth/``. With ``--outlier`` the
data, but not the ideal ones, have a bright source outside the field, whose model is
``ms/outlier.skymodel`` and whose row for Factor is in ``outliers.txt``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

# So that a checkout works before anything is installed, and for `import simulate` in tests.
sys.path[:0] = [p for p in (str(Path(__file__).parent), str(Path(__file__).parents[1]))
                if p not in sys.path]

from simulation.field import Paths, build  # noqa: E402
from simulation.options import FieldOptions  # noqa: E402

from factor.errors import FactorError  # noqa: E402
from factor.tools.environment import find_tools, prepare  # noqa: E402

__all__ = ["FieldOptions", "Paths", "simulate"]


def simulate(options: FieldOptions, out: Path, clobber: bool = False) -> None:
    """Make the field in a folder, or leave it alone when it is there and complete.

    Parameters
    ----------
    options : FieldOptions
        What it is like.
    out : Path
        Its folder.
    clobber : bool
        Replace a field that was made with other options.

    Raises
    ------
    FactorError
        When another field is there, or a tool fails or is missing.
    """
    prepare()
    started = time.monotonic()
    paths = Paths(out.absolute())

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)

    if paths.marker.exists():
        # Fields of before an option was there are as if it had its default.
        there = {**FieldOptions().as_json(), **json.loads(paths.marker.read_text())}
        if there == options.as_json():
            say(f"{out} is complete already")
            return
        wanted = options.as_json()
        differences = ", ".join(
            f"{k} {there.get(k)} instead of {wanted.get(k)}"
            for k in sorted(there.keys() | wanted.keys())
            if there.get(k) != wanted.get(k)
        )
        if not clobber:
            msg = (f"{out} holds a field made with other options ({differences}): "
                   "choose another folder, or replace it with --clobber")
            raise FactorError(msg)
    find_tools()
    paths.clear()
    build(options, paths, say)


def _angle(text: str, per_unit: float) -> float:
    """Degrees from ``14h30m``, ``+52d30m15s``, ``14:30:00`` or plain degrees."""
    cleaned = text.strip()
    for mark in "hdms:'\"":
        cleaned = cleaned.replace(mark, " ")
    parts = cleaned.split()
    if len(parts) == 1 and not any(mark in text for mark in "hd:"):
        return float(parts[0])
    value = sum(abs(float(p)) / 60.0**i for i, p in enumerate(parts))
    return (-value if text.strip().startswith("-") else value) * per_unit


def _ra(text: str) -> float:
    return _angle(text, 15.0)


def _dec(text: str) -> float:
    return _angle(text, 1.0)


def _layout(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part.strip())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="simulate.py", description="Make a simulated LOFAR field whose truth is known.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("dir", type=Path, help="folder of the field")
    parser.add_argument("--clobber", action="store_true", help="replace a field with other options")
    names: dict[str, tuple[str, Callable[[str], object]]] = {
             "ra_deg": ("--ra", _ra), "dec_deg": ("--dec", _dec),
             "band_layout_mhz": ("--band-layout", _layout),
             "minutes": ("--minutes", float), "interval_s": ("--interval", float),
             "sefd_jy": ("--sefd", float), "flux_min_jy": ("--flux-min", float),
             "flux_max_jy": ("--flux-max", float), "max_baseline_km": ("--max-baseline", float),
             "outlier_jy": ("--outlier", float), "bright_jy": ("--bright", float),
             "hour_angle_h": ("--hour-angle", float), "wind_m_s": ("--wind", float)}
    for field in dataclasses.fields(FieldOptions):
        flag, kind = names.get(
            field.name, ("--" + field.name.replace("_", "-"), type(field.default))
        )
        parser.add_argument(flag, dest=field.name, type=kind, default=field.default,
                            help=field.name.replace("_", " "))
    return parser


def main(argv: list[str] | None = None) -> int:
    """Make a field; the exit status is 1 when that failed, 2 for wrong options."""
    arguments = vars(_parser().parse_args(argv))
    out, clobber = arguments.pop("dir"), arguments.pop("clobber")
    try:
        options = FieldOptions(**arguments)
        simulate(options, out, clobber)
    except FactorError as error:
        print(f"simulate.py: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
