"""Measurement sets as LOFAR's pipelines leave them, with the subtables that EveryBeam needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulation.geometry import Station

Array = NDArray[np.float64]

_XX_XY_YX_YY = [9, 10, 11, 12]
_TOPO = 5
_DIAMETER_M = 31.262533140212206
_METRES: dict[str, object] = {
    "QuantumUnits": ["m", "m", "m"],
    "MEASINFO": {"type": "position", "Ref": "ITRF"},
}
_J2000: dict[str, object] = {
    "QuantumUnits": ["rad", "rad"],
    "MEASINFO": {"type": "direction", "Ref": "J2000"},
}
_UTC: dict[str, object] = {"QuantumUnits": ["s"], "MEASINFO": {"type": "epoch", "Ref": "UTC"}}
_MHZ: dict[str, object] = {"QuantumUnits": ["MHz"]}
_TILE_ROWS = 512


@dataclass(frozen=True)
class Observed:
    """All that the bands of one observation have in common."""

    stations: tuple[Station, ...]
    ra_rad: float
    dec_rad: float
    target: str
    times_s: Array
    """Middles of the slots, MJD in seconds."""
    interval_s: float
    uvw: Array
    """Shape (times, stations, 3), m."""

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Stations of each baseline, without autocorrelations."""
        return np.triu_indices(len(self.stations), 1)

    @property
    def n_baselines(self) -> int:
        return len(self.stations) * (len(self.stations) - 1) // 2


def make_ms(path: Path, observed: Observed, freqs_hz: Array, flags: NDArray[np.bool_]) -> None:
    """Write a measurement set of one band with empty DATA.

    Parameters
    ----------
    path : Path
        The new measurement set; an old one is replaced.
    observed : Observed
        Stations, times and UVW.
    freqs_hz : Array
        Channel centres, evenly spaced.
    flags : array of bool
        Shape (rows, channels), rows in order of time, then baseline.
    """
    from casacore.tables import default_ms

    shutil.rmtree(path, ignore_errors=True)
    ms = default_ms(str(path), _columns(len(freqs_hz)), _managers(len(freqs_hz)))
    n_rows = len(observed.times_s) * observed.n_baselines
    ms.addrows(n_rows)
    _fill_main(ms, observed, flags)
    _fill_window(ms, freqs_hz)
    _fill_array(ms, observed)
    _fill_field(ms, observed)
    _fill_observation(ms, observed, freqs_hz, path.name)
    ms.close()
    _add_lofar_tables(path, observed)


def _columns(n_channels: int) -> dict[str, object]:
    from casacore.tables import makearrcoldesc, maketabdesc

    shape = [n_channels, 4]
    desc = [
        makearrcoldesc("DATA", 0j, 2, shape, "TiledColumnStMan", "TiledDATA", valuetype="complex"),
        makearrcoldesc("FLAG", False, 2, shape, "TiledColumnStMan", "TiledFLAG"),
        makearrcoldesc("WEIGHT_SPECTRUM", 0.0, 2, shape, "TiledColumnStMan", "TiledWEIGHT",
                       valuetype="float"),
        makearrcoldesc("UVW", 0.0, 1, [3], "TiledColumnStMan", "TiledUVW", keywords={
            "QuantumUnits": ["m", "m", "m"], "MEASINFO": {"type": "uvw", "Ref": "J2000"}}),
    ]
    columns: dict[str, object] = maketabdesc(desc)
    return columns


def _managers(n_channels: int) -> dict[str, object]:
    spec = {"DEFAULTTILESHAPE": np.array([4, n_channels, _TILE_ROWS], np.int32)}
    named = {"DATA": spec, "FLAG": spec, "WEIGHT": spec,
             "UVW": {"DEFAULTTILESHAPE": np.array([3, 4096], np.int32)}}
    columns = {"WEIGHT": "WEIGHT_SPECTRUM"}
    return {
        f"*{i + 1}": {"TYPE": "TiledColumnStMan", "NAME": f"Tiled{name}", "SEQNR": i,
                      "SPEC": manager, "COLUMNS": [columns.get(name, name)]}
        for i, (name, manager) in enumerate(named.items())
    }


def _fill_main(ms: object, observed: Observed, flags: NDArray[np.bool_]) -> None:
    first, second = observed.pairs
    n_times, n_rows = len(observed.times_s), flags.shape[0]
    times = np.repeat(observed.times_s, observed.n_baselines)
    shape = (n_rows, flags.shape[1], 4)
    put = ms.putcol  # type: ignore[attr-defined]
    put("TIME", times)
    put("TIME_CENTROID", times)
    put("ANTENNA1", np.tile(first, n_times).astype(np.int32))
    put("ANTENNA2", np.tile(second, n_times).astype(np.int32))
    put("UVW", (observed.uvw[:, second] - observed.uvw[:, first]).reshape(-1, 3))
    for name in ("INTERVAL", "EXPOSURE"):
        put(name, np.full(n_rows, observed.interval_s))
    for name in ("ARRAY_ID", "DATA_DESC_ID", "FEED1", "FEED2", "FIELD_ID", "OBSERVATION_ID",
                 "PROCESSOR_ID", "SCAN_NUMBER", "STATE_ID"):
        put(name, np.zeros(n_rows, np.int32))
    put("FLAG_ROW", np.zeros(n_rows, bool))
    for name in ("WEIGHT", "SIGMA"):
        put(name, np.ones((n_rows, 4), np.float32))
    put("FLAG", np.broadcast_to(flags[:, :, None], shape).copy())
    put("WEIGHT_SPECTRUM", np.ones(shape, np.float32))
    put("DATA", np.zeros(shape, np.complex64))


def _subtable(ms: object, name: str, n_rows: int, columns: dict[str, object]) -> None:
    """Fill a subtable: a list or array holds one value per row, anything else is repeated."""
    from casacore.tables import table

    with table(ms.getkeyword(name), readonly=False, ack=False) as sub:  # type: ignore[attr-defined]
        sub.addrows(n_rows)
        for column, values in columns.items():
            each = values if isinstance(values, list) else [values] * n_rows
            for row, value in enumerate(each):
                sub.putcell(column, row, value)


def _fill_window(ms: object, freqs_hz: Array) -> None:
    width = freqs_hz[1] - freqs_hz[0] if len(freqs_hz) > 1 else 1.953125e6
    widths = np.full(len(freqs_hz), width)
    _subtable(ms, "SPECTRAL_WINDOW", 1, {
        "MEAS_FREQ_REF": _TOPO, "REF_FREQUENCY": float(freqs_hz.mean()), "NAME": "BAND",
        "NUM_CHAN": len(freqs_hz), "TOTAL_BANDWIDTH": float(widths.sum()),
        "CHAN_FREQ": freqs_hz, "CHAN_WIDTH": widths, "EFFECTIVE_BW": widths,
        "RESOLUTION": widths, "FREQ_GROUP": 0, "FREQ_GROUP_NAME": "", "IF_CONV_CHAIN": 0,
        "NET_SIDEBAND": 0, "FLAG_ROW": False,
    })
    _subtable(ms, "POLARIZATION", 1, {
        "CORR_TYPE": np.array(_XX_XY_YX_YY, np.int32),
        "CORR_PRODUCT": np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int32),
        "NUM_CORR": 4, "FLAG_ROW": False,
    })
    _subtable(ms, "DATA_DESCRIPTION", 1, {
        "SPECTRAL_WINDOW_ID": 0, "POLARIZATION_ID": 0, "FLAG_ROW": False})


def _fill_array(ms: object, observed: Observed) -> None:
    from casacore.tables import makearrcoldesc, maketabdesc, table

    with table(ms.getkeyword("ANTENNA"), readonly=False, ack=False) as antenna:  # type: ignore[attr-defined]
        antenna.addcols(maketabdesc([
            makearrcoldesc("LOFAR_PHASE_REFERENCE", 0.0, 1, [3], keywords=_METRES)]))
    positions = [s.position for s in observed.stations]
    n_stations = len(positions)
    _subtable(ms, "ANTENNA", n_stations, {
        "NAME": [s.name for s in observed.stations], "STATION": "LOFAR", "TYPE": "GROUND-BASED",
        "MOUNT": "X-Y", "POSITION": positions, "OFFSET": np.zeros(3),
        "DISH_DIAMETER": _DIAMETER_M, "FLAG_ROW": False, "LOFAR_PHASE_REFERENCE": positions,
    })
    middle, length = _middle_and_length(observed)
    _subtable(ms, "FEED", n_stations, {
        "ANTENNA_ID": list(range(n_stations)), "BEAM_ID": -1, "FEED_ID": 0,
        "INTERVAL": length, "TIME": middle, "NUM_RECEPTORS": 2, "SPECTRAL_WINDOW_ID": -1,
        "BEAM_OFFSET": np.zeros((2, 2)), "POLARIZATION_TYPE": np.array(["X", "Y"]),
        "POL_RESPONSE": np.eye(2, dtype=np.complex64), "POSITION": np.zeros(3),
        "RECEPTOR_ANGLE": np.full(2, -np.pi / 4),
    })


def _middle_and_length(observed: Observed) -> tuple[float, float]:
    times = observed.times_s
    return float(times.mean()), float(times[-1] - times[0] + observed.interval_s)


def _fill_field(ms: object, observed: Observed) -> None:
    from casacore.tables import makearrcoldesc, maketabdesc, table

    with table(ms.getkeyword("FIELD"), readonly=False, ack=False) as field:  # type: ignore[attr-defined]
        field.addcols(maketabdesc([
            makearrcoldesc("LOFAR_TILE_BEAM_DIR", 0.0, 1, [2], keywords=_J2000)]))
    centre = np.array([observed.ra_rad, observed.dec_rad])
    middle, length = _middle_and_length(observed)
    _subtable(ms, "FIELD", 1, {
        "NAME": "BEAM_0", "CODE": observed.target, "TIME": middle, "NUM_POLY": 0,
        "SOURCE_ID": -1, "FLAG_ROW": False, "DELAY_DIR": centre[None], "PHASE_DIR": centre[None],
        "REFERENCE_DIR": centre[None], "LOFAR_TILE_BEAM_DIR": centre,
    })
    n_stations = len(observed.stations)
    _subtable(ms, "POINTING", n_stations, {
        "ANTENNA_ID": list(range(n_stations)), "TIME": middle, "INTERVAL": length,
        "NAME": observed.target, "NUM_POLY": 0, "TIME_ORIGIN": middle, "TRACKING": True,
        "DIRECTION": centre[None], "TARGET": centre[None],
    })
    _subtable(ms, "STATE", 1, {"SIG": True, "REF": False, "CAL": 0.0, "LOAD": 0.0,
                               "SUB_SCAN": 0, "OBS_MODE": "", "FLAG_ROW": False})
    _subtable(ms, "PROCESSOR", 1, {"TYPE": "CORRELATOR", "SUB_TYPE": "LOFAR-COBALT",
                                   "TYPE_ID": -1, "MODE_ID": -1, "FLAG_ROW": False})


def _fill_observation(ms: object, observed: Observed, freqs_hz: Array, file_name: str) -> None:
    from casacore.tables import makearrcoldesc, makescacoldesc, maketabdesc, table

    middle, length = _middle_and_length(observed)
    start, end = middle - length / 2, middle + length / 2
    extra: dict[str, tuple[object, dict[str, object]]] = {
        "LOFAR_PROJECT_TITLE": ("Simulated field", {}), "LOFAR_PROJECT_PI": ("", {}),
        "LOFAR_PROJECT_CONTACT": ("", {}), "LOFAR_OBSERVATION_ID": ("100000", {}),
        "LOFAR_OBSERVATION_START": (start, _UTC), "LOFAR_OBSERVATION_END": (end, _UTC),
        "LOFAR_OBSERVATION_FREQUENCY_MIN": (float(freqs_hz.min()) / 1e6, _MHZ),
        "LOFAR_OBSERVATION_FREQUENCY_MAX": (float(freqs_hz.max()) / 1e6, _MHZ),
        "LOFAR_OBSERVATION_FREQUENCY_CENTER": (float(freqs_hz.mean()) / 1e6, _MHZ),
        "LOFAR_SUB_ARRAY_POINTING": (0, {}), "LOFAR_NOF_BITS_PER_SAMPLE": (8, {}),
        "LOFAR_ANTENNA_SET": ("HBA_DUAL_INNER", {}),
        "LOFAR_FILTER_SELECTION": ("HBA_110_190", {}),
        "LOFAR_CLOCK_FREQUENCY": (200.0, _MHZ), "LOFAR_SYSTEM_VERSION": ("", {}),
        "LOFAR_PIPELINE_NAME": ("", {}), "LOFAR_PIPELINE_VERSION": ("", {}),
        "LOFAR_FILENAME": (file_name, {}), "LOFAR_FILETYPE": ("uv", {}),
        "LOFAR_FILEDATE": (start, _UTC),
    }
    with table(ms.getkeyword("OBSERVATION"), readonly=False, ack=False) as observation:  # type: ignore[attr-defined]
        observation.addcols(maketabdesc(
            [makescacoldesc(n, v, keywords=k) for n, (v, k) in extra.items()]
            + [makearrcoldesc("LOFAR_TARGET", "", 1), makearrcoldesc("LOFAR_PROJECT_CO_I", "", 1)]))
    _subtable(ms, "OBSERVATION", 1, {
        "TELESCOPE_NAME": "LOFAR", "TIME_RANGE": np.array([start, end]), "OBSERVER": "simulation",
        "PROJECT": "simulation", "SCHEDULE_TYPE": "LOFAR", "RELEASE_DATE": end,
        "FLAG_ROW": False, "LOFAR_TARGET": np.array([observed.target]),
        "LOFAR_PROJECT_CO_I": np.array([""]), "LOG": np.array([""]),
        "SCHEDULE": np.array([""]),
        **{n: v for n, (v, _) in extra.items()},
    })


def _add_lofar_tables(path: Path, observed: Observed) -> None:
    from casacore.tables import makearrcoldesc, makescacoldesc, maketabdesc, table

    cabinets = sorted({s.name[:5] for s in observed.stations})
    stations = maketabdesc([makescacoldesc("NAME", ""), makescacoldesc("CLOCK_ID", 0),
                            makescacoldesc("FLAG_ROW", False)])
    fields = maketabdesc([
        makescacoldesc("ANTENNA_ID", 0), makescacoldesc("NAME", ""),
        makearrcoldesc("POSITION", 0.0, 1, [3], keywords=_METRES),
        makearrcoldesc("COORDINATE_AXES", 0.0, 2, [3, 3], keywords=_METRES),
        makearrcoldesc("ELEMENT_OFFSET", 0.0, 2, keywords=_METRES),
        makearrcoldesc("ELEMENT_RCU", 0, 2), makearrcoldesc("ELEMENT_FLAG", False, 2),
        makescacoldesc("TILE_ROTATION", 0.0, keywords={"QuantumUnits": ["rad"]}),
        makearrcoldesc("TILE_ELEMENT_OFFSET", 0.0, 2, keywords=_METRES),
    ])
    failures = maketabdesc([makescacoldesc("ANTENNA_FIELD_ID", 0),
                            makescacoldesc("ELEMENT_INDEX", 0),
                            makescacoldesc("TIME", 0.0, keywords=_UTC)])
    _new_table(path, "LOFAR_STATION", stations,
               [{"NAME": c, "CLOCK_ID": i, "FLAG_ROW": False} for i, c in enumerate(cabinets)])
    _new_table(path, "LOFAR_ELEMENT_FAILURE", failures, [])
    _new_table(path, "LOFAR_ANTENNA_FIELD", fields, [
        {"ANTENNA_ID": i, "NAME": s.name[5:], "POSITION": s.position, "COORDINATE_AXES": s.axes,
         "ELEMENT_OFFSET": s.tile_offsets, "ELEMENT_FLAG": np.repeat(~s.tile_used[:, None], 2, 1),
         "ELEMENT_RCU": np.where(s.tile_used[:, None], np.arange(96).reshape(48, 2), -1),
         "TILE_ROTATION": s.tile_rotation_rad, "TILE_ELEMENT_OFFSET": s.element_offsets}
        for i, s in enumerate(observed.stations)])
    with (
        table(str(path / "ANTENNA"), readonly=False, ack=False) as antenna,
        table(str(path), readonly=False, ack=False) as ms,
    ):
        antenna.addcols(maketabdesc([makescacoldesc("LOFAR_STATION_ID", 0)]))
        antenna.putcol("LOFAR_STATION_ID",
                       np.array([cabinets.index(s.name[:5]) for s in observed.stations], np.int32))
        for name in ("LOFAR_STATION", "LOFAR_ANTENNA_FIELD", "LOFAR_ELEMENT_FAILURE"):
            ms.putkeyword(name, f"Table: {path / name}")


def _new_table(path: Path, name: str, description: dict[str, object],
               rows: list[dict[str, object]]) -> None:
    from casacore.tables import table

    with table(str(path / name), description, nrow=len(rows), readonly=False, ack=False) as new:
        for i, row in enumerate(rows):
            for column, value in row.items():
                new.putcell(column, i, value)


def add_column(path: Path, name: str, like: str = "DATA") -> None:
    """Add a visibility column with the same shape, storage and beam keywords as another."""
    from casacore.tables import makecoldesc, table

    with table(str(path), readonly=False, ack=False) as ms:
        if name in ms.colnames():
            return
        manager = dict(ms.getdminfo(like))
        manager["NAME"] = f"Tiled{name}"
        ms.addcols(makecoldesc(name, ms.getcoldesc(like)), manager)
        for keyword, value in ms.getcolkeywords(like).items():
            ms.putcolkeyword(name, keyword, value)


def forget_beam(path: Path) -> None:
    """Take back the note that DATA are corrected for the beam, before they are predicted anew."""
    from casacore.tables import table

    with table(str(path), readonly=False, ack=False) as ms:
        for name in ms.getcolkeywords("DATA"):
            if name.startswith("LOFAR_APPLIED_BEAM"):
                ms.removecolkeyword("DATA", name)


def read_column(path: Path, name: str) -> NDArray[np.complex64]:
    """A visibility column, shape (rows, channels, 4)."""
    from casacore.tables import table

    with table(str(path), ack=False) as ms:
        return np.asarray(ms.getcol(name))


def write_column(path: Path, name: str, values: NDArray[np.complex64]) -> None:
    """Overwrite a visibility column."""
    from casacore.tables import table

    with table(str(path), readonly=False, ack=False) as ms:
        ms.putcol(name, values)
