"""Tiny LOFAR-like measurement sets, and values that stand for larger ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from factor.observation.bands import MsInfo
from factor.tools.environment import prepare

prepare()

START_MJD_S = 4.9e9
INTERVAL_S = 8.0
STATIONS = ("CS001HBA0", "CS002HBA0", "RS205HBA")
PAIRS = tuple((i, j) for j in range(3) for i in range(j + 1))


def _subtables(path: Path, freqs_hz: Sequence[float], width_hz: float, dec_deg: float) -> None:
    from casacore import tables

    n_chan = len(freqs_hz)
    with tables.table(f"{path}::SPECTRAL_WINDOW", readonly=False, ack=False) as window:
        window.addrows(1)
        window.putcell("CHAN_FREQ", 0, np.array(freqs_hz))
        for name in ("CHAN_WIDTH", "EFFECTIVE_BW", "RESOLUTION"):
            window.putcell(name, 0, np.full(n_chan, width_hz))
        window.putcell("NUM_CHAN", 0, n_chan)
    with tables.table(f"{path}::FIELD", readonly=False, ack=False) as field:
        field.addrows(1)
        for name in ("PHASE_DIR", "REFERENCE_DIR", "DELAY_DIR"):
            field.putcell(name, 0, np.radians([[217.5, dec_deg]]))
    with tables.table(f"{path}::OBSERVATION", readonly=False, ack=False) as observation:
        observation.addcols(tables.makescacoldesc("LOFAR_ANTENNA_SET", ""))
        observation.addrows(1)
        observation.putcell("TELESCOPE_NAME", 0, "LOFAR")
        observation.putcell("LOFAR_ANTENNA_SET", 0, "HBA_DUAL_INNER")
    with tables.table(f"{path}::ANTENNA", readonly=False, ack=False) as antenna:
        antenna.addrows(len(STATIONS) + 1)
        for i, name in enumerate((*STATIONS, "DE601HBA")):
            antenna.putcell("NAME", i, name)
            antenna.putcell("DISH_DIAMETER", i, 31.2 if i < 3 else 57.0)
            antenna.putcell("POSITION", i, np.array([3826577.0 + 100 * i, 461022.9, 5064892.8]))


@pytest.fixture
def make_ms(tmp_path: Path) -> Callable[..., Path]:
    """Make a measurement set whose data tell time slot, baseline, channel and correlation."""

    def make(
        name: str = "field.ms",
        freq_hz: float = 140e6,
        slots: Sequence[int] = range(4),
        n_chan: int = 4,
        **options: Any,
    ) -> Path:
        from casacore import tables

        path = tmp_path / "input" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        column = options.get("column", "SUBTRACTED_DATA_ALL")
        width = 0.1e6
        freqs = [freq_hz + (k - (n_chan - 1) / 2) * width for k in range(n_chan)]
        description = tables.maketabdesc(
            [
                tables.makearrcoldesc(column, 0j, ndim=2, valuetype="complex"),
                tables.makearrcoldesc("MODEL_DATA", 0j, ndim=2, valuetype="complex"),
                tables.makearrcoldesc("WEIGHT_SPECTRUM", 0.0, ndim=2, valuetype="float"),
            ]
        )
        keys = [(slot, *pair) for slot in slots for pair in PAIRS]
        keys = [keys[i] for i in options.get("rows", range(len(keys)))]
        slot, one, two = (np.array(values) for values in zip(*keys, strict=True))
        shape = (len(keys), n_chan, 4)
        with tables.default_ms(str(path), description) as main:
            main.addrows(len(keys))
            for key in ("TIME", "TIME_CENTROID"):
                main.putcol(key, START_MJD_S + INTERVAL_S * slot)
            for key in ("INTERVAL", "EXPOSURE"):
                main.putcol(key, np.full(len(keys), INTERVAL_S))
            main.putcol("ANTENNA1", one.astype(np.int32))
            main.putcol("ANTENNA2", two.astype(np.int32))
            main.putcol("UVW", np.stack([slot, 10.0 * one, 100.0 * two], axis=1))
            codes = slot * 100 + one * 10 + two
            data = codes[:, None, None] + 1j * np.arange(n_chan)[:, None] + np.arange(4) / 8
            main.putcol(column, data.astype(np.complex64))
            main.putcolkeyword(column, "LOFAR_APPLIED_BEAM_MODE", "Full")
            main.putcol("WEIGHT_SPECTRUM", np.full(shape, 2.0, dtype=np.float32) + slot[:, None, None])
            flags = np.zeros(shape, dtype=bool)
            flags[: round(options.get("flagged", 0.0) * len(keys))] = True
            main.putcol("FLAG", flags)
            for key in ("WEIGHT", "SIGMA"):
                main.putcol(key, np.ones((len(keys), 4), dtype=np.float32))
        _subtables(path, freqs, width, 52.0)
        path.with_suffix(".merge").write_text(
            "FORMAT = Name, Type, Ra, Dec, I\ns1, POINT, 14:30:00, +52.00.00, 1.0\n"
        )
        return path

    return make


@pytest.fixture
def make_info() -> Callable[..., MsInfo]:
    """Make the metadata of a file without the file."""

    def make(
        name: str = "a.ms",
        freq_hz: float = 140e6,
        start_s: float = 0.0,
        length_s: float = 3600.0,
        **changes: Any,
    ) -> MsInfo:
        times = tuple(START_MJD_S + start_s + INTERVAL_S * k for k in range(int(length_s / INTERVAL_S)))
        info = MsInfo(
            path=Path("/data") / name,
            columns=("UVW", "FLAG", "WEIGHT_SPECTRUM", "SUBTRACTED_DATA_ALL"),
            freqs_hz=tuple(freq_hz + (k - 3.5) * 0.1e6 for k in range(8)),
            chan_width_hz=0.1e6,
            n_spectral_windows=1,
            times_mjd_s=times,
            interval_s=INTERVAL_S,
            n_rows=6 * len(times),
            n_baselines=6,
            ra_deg=217.5,
            dec_deg=52.0,
            telescope="LOFAR",
            antenna_set="HBA_DUAL_INNER",
            stations=STATIONS,
            station_diameter_m=30.75,
            mean_elevation_rad=1.2,
            flagged_fraction=0.1,
        )
        return replace(info, **changes)

    return make


@pytest.fixture
def settings(tmp_path: Path) -> SimpleNamespace:
    """The part of the settings that the checks read, with one sky model for all."""
    model = tmp_path / "all.skymodel"
    model.write_text("FORMAT = Name, Type, Ra, Dec, I\ns1, POINT, 14:30:00, +52.00.00, 1.0\n")

    class Everywhere(dict[str, Path]):
        def __contains__(self, _: object) -> bool:
            return True

        def __getitem__(self, _: str) -> Path:
            return model

    return SimpleNamespace(
        globals=SimpleNamespace(
            min_fraction_per_band=0.5, exit_on_bad_band=False, skymodel_extension=".merge"
        ),
        init_skymodels=Everywhere(),
    )
