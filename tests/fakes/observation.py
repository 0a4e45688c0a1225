"""A tiny observation, its directions and its parset, for runs with the fake tools."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from simulation import measurementset as msets
from simulation.field import _observe
from simulation.options import FieldOptions

from factor.directions.file import format_position
from factor.tools.environment import prepare

OPTIONS = FieldOptions(
    seed=1, name="tiny", stations=5, bands=2, channels=4, minutes=41, interval_s=60.0, sources=1
)
#: Name, offsets in degrees, and flux of the sources; the first two are directions.
SOURCES = (("east", 0.3, 0.1, 2.0), ("west", -0.3, -0.1, 1.0), ("faint", 0.2, -0.25, 0.2))


def _place(east_deg: float, north_deg: float) -> tuple[float, float]:
    ra = OPTIONS.ra_deg + east_deg / np.cos(np.radians(OPTIONS.dec_deg))
    return ra, OPTIONS.dec_deg + north_deg


def _skymodel() -> str:
    lines = ["FORMAT = Name, Type, Patch, Ra, Dec, I, ReferenceFrequency='144e6', SpectralIndex='[]'"]
    for name, east, north, flux in SOURCES:
        ra, dec = format_position(*_place(east, north)).split(",")
        dec = dec.replace("d", ".").replace("m", ".").rstrip("s").replace(":", ".")
        ra = ra.replace("h", ":").replace("m", ":").rstrip("s")
        lines += [f" , , {name}, {ra}, {dec}", f"{name}_0, POINT, {name}, {ra}, {dec}, {flux}, , [-0.7]"]
    return "\n".join(lines) + "\n"


def make_observation(folder: Path) -> None:
    """Write measurement sets and sky models of two bands, subtracted, and a directions file."""
    prepare()
    observed, _, _ = _observe(OPTIONS)
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    rows = len(observed.times_s) * observed.n_baselines
    for band, middle in zip(OPTIONS.band_names, OPTIONS.band_middles_hz, strict=True):
        ms = folder / f"{band}.ms"
        flags = random.random((rows, OPTIONS.channels)) < 0.05
        msets.make_ms(ms, observed, OPTIONS.channel_freqs_hz(middle), flags)
        msets.add_column(ms, "SUBTRACTED_DATA_ALL")
        noise = random.normal(size=(2, rows, OPTIONS.channels, 4)).astype(np.float32)
        msets.write_column(ms, "SUBTRACTED_DATA_ALL", noise[0] + 1j * noise[1])
        ms.with_suffix(".merge").write_text(_skymodel())
    lines = [
        f"{name} {format_position(*_place(east, north))} False False 512 0 0 LD empty empty empty False "
        f"0.05 {1e3 * flux}"
        for name, east, north, flux in SOURCES[:2]
    ]
    (folder / "directions.txt").write_text("\n".join(lines) + "\n")


def write_parset(folder: Path, data: Path, **changes: str) -> Path:
    """Write a parset whose working directory is ``folder/work``."""
    sections = {
        "global": {"dir_working": str(folder / "work"), "dir_ms": str(data), "chunk_size_sec": "1200"},
        "calibration": {"max_selfcal_loops": "1", "preaverage_flux_jy": "0"},
        "imaging": {"selfcal_cellsize_arcsec": "12"},
        "directions": {"directions_file": str(data / "directions.txt"), "faceting_radius_deg": "0.6",
                       "check_edges": "False"},
        "cluster": {"ncpu": "2", "nthread_io": "1"},
    }
    for name, value in changes.items():
        section, _, option = name.partition("__")
        sections[section][option] = value
    text = "".join(
        f"[{section}]\n" + "".join(f"{k} = {v}\n" for k, v in options.items())
        for section, options in sections.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "factor.parset"
    path.write_text(text)
    return path
