"""The fake DP3: each step changes the data in a way that can be told apart and computed again.

A prediction is one number for a model's text, a corruption one factor for a file's
solutions. What it writes are plain tables with the columns and numbers that matter.
"""

from __future__ import annotations

import shutil
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from factor.products.solutions.soltabs import (
    AMPLITUDE,
    CORRELATIONS,
    PHASE,
    TEC,
    Frame,
    Soltab,
    read_soltabs,
    write_h5parm,
)
from factor.tools.environment import prepare


@dataclass(frozen=True)
class Data:
    """Visibilities of one piece of time; arrays are (time, baseline, channel, correlation)."""

    values: np.ndarray
    flags: np.ndarray
    times: np.ndarray
    freqs: np.ndarray
    ants: tuple[str, ...]
    centre: tuple[float, float]


def _number(text: bytes) -> float:
    """A number between 0 and 1 that stands for a content."""
    return zlib.crc32(text) / 2.0**32


def model_flux(model: Path, n_channels: int) -> np.ndarray:
    """What a model adds to each visibility, by channel."""
    return (0.1 + _number(model.read_bytes())) * (1 + 0.01 * np.arange(n_channels))


def corruption(h5parm: Path, soltabs: list[str]) -> complex:
    """What solutions multiply a model with."""
    found = read_soltabs(h5parm)
    factor = 1 + 0j
    for name in soltabs:
        values, weights = found[name].values, found[name].weights
        assert np.isfinite(values[weights > 0]).all(), f"NaN with a weight in {h5parm}"
        content = np.round(np.where(weights > 0, values, 0.0), 4) + 0.0
        factor *= np.exp(0.3j * _number(content.tobytes()))
    return complex(factor)


def read(ms: Path, column: str) -> Data:
    """Read a chunk, or what this program wrote."""
    prepare()
    from casacore.tables import table

    with table(str(ms), ack=False) as main:
        values = main.getcol(column)
        flags = main.getcol("FLAG")
        times = main.getcol("TIME")
        notes = main.getkeyword("FAKE") if "FAKE" in main.keywordnames() else None
    if notes is None:
        with table(f"{ms}::SPECTRAL_WINDOW", ack=False) as window:
            freqs = window.getcell("CHAN_FREQ", 0)
        with table(f"{ms}::ANTENNA", ack=False) as antenna:
            ants = antenna.getcol("NAME")
        with table(f"{ms}::FIELD", ack=False) as field:
            centre = np.degrees(field.getcell("PHASE_DIR", 0)[0])
    else:
        freqs, ants, centre = notes["freqs"], notes["ants"], notes["centre"]
    slots = np.unique(times)
    shape = (len(slots), -1, *values.shape[1:])
    ra, dec = float(centre[0]), float(centre[1])
    return Data(values.reshape(shape), flags.reshape(shape), slots, np.array(freqs), tuple(ants), (ra, dec))


def _write(ms: Path, data: Data) -> None:
    from casacore import tables

    n_times, n_baselines = data.values.shape[:2]
    rows = n_times * n_baselines
    description = tables.maketabdesc(
        [
            tables.makearrcoldesc("DATA", 0j, ndim=2, valuetype="complex"),
            tables.makearrcoldesc("FLAG", False, ndim=2, valuetype="boolean"),
            tables.makearrcoldesc("WEIGHT_SPECTRUM", 0.0, ndim=2, valuetype="float"),
            tables.makearrcoldesc("UVW", 0.0, ndim=1, valuetype="double"),
            tables.makescacoldesc("ANTENNA1", 0),
            tables.makescacoldesc("ANTENNA2", 0),
            tables.makescacoldesc("TIME", 0.0),
        ]
    )
    shutil.rmtree(ms, ignore_errors=True)
    with tables.table(str(ms), description, nrow=rows, ack=False) as main:
        main.putcol("DATA", data.values.reshape(rows, *data.values.shape[2:]).astype(np.complex64))
        main.putcol("FLAG", data.flags.reshape(rows, *data.values.shape[2:]))
        main.putcol("TIME", np.repeat(data.times, n_baselines))
        main.putcol("WEIGHT_SPECTRUM", np.ones((rows, *data.values.shape[2:]), np.float32))
        for column, number in zip(("ANTENNA1", "ANTENNA2"), _pairs(data), strict=True):
            main.putcol(column, np.tile(number, n_times))
        tracks = np.outer(np.arange(1, n_baselines + 1), (300.0, 100.0, 0.0))
        main.putcol("UVW", np.tile(tracks, (n_times, 1)))
        notes = {"freqs": data.freqs, "ants": list(data.ants), "centre": list(data.centre)}
        main.putkeyword("FAKE", notes)
    names = tables.maketabdesc([tables.makescacoldesc("NAME", "")])
    with tables.table(f"{ms}/ANTENNA", names, nrow=len(data.ants), ack=False) as antenna:
        antenna.putcol("NAME", list(data.ants))
        with tables.table(str(ms), readonly=False, ack=False) as main:
            main.putkeyword("ANTENNA", antenna)
    window = tables.maketabdesc([tables.makearrcoldesc("CHAN_FREQ", 0.0, ndim=1, valuetype="double")])
    with tables.table(f"{ms}/SPECTRAL_WINDOW", window, nrow=1, ack=False) as spectral:
        spectral.putcell("CHAN_FREQ", 0, data.freqs)
        with tables.table(str(ms), readonly=False, ack=False) as main:
            main.putkeyword("SPECTRAL_WINDOW", spectral)


def _pairs(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Stations of each baseline; the last ones stay unused where there are fewer."""
    first, second = np.triu_indices(len(data.ants), 1)
    n = data.values.shape[1]
    if n > len(first):
        first, second = np.triu_indices(len(data.ants), 0)
    return first[:n].astype(np.int32), second[:n].astype(np.int32)


def _join(parts: list[Data]) -> Data:
    return replace(
        parts[0],
        values=np.concatenate([part.values for part in parts], axis=2),
        flags=np.concatenate([part.flags for part in parts], axis=2),
        freqs=np.concatenate([part.freqs for part in parts]),
    )


def _listed(text: str) -> list[str]:
    return [item for item in text.strip("[]").split(",") if item]


def _apply_model(data: Data, change: np.ndarray, operation: str) -> Data:
    signs = {"add": 1, "subtract": -1}
    change = np.broadcast_to(change[:, None], data.values.shape)
    values = change + 0j if operation == "replace" else data.values + signs[operation] * change
    return replace(data, values=values)


def _average(data: Data, freqstep: int, timestep: int) -> Data:
    values = [data.values[i : i + timestep].mean(axis=0) for i in range(0, len(data.times), timestep)]
    flags = [data.flags[i : i + timestep].all(axis=0) for i in range(0, len(data.times), timestep)]
    times = [data.times[i : i + timestep].mean() for i in range(0, len(data.times), timestep)]
    shape = (len(times), data.values.shape[1], -1, freqstep, data.values.shape[3])
    return replace(
        data,
        values=np.stack(values).reshape(shape).mean(axis=3),
        flags=np.stack(flags).reshape(shape).all(axis=3),
        times=np.array(times),
        freqs=data.freqs.reshape(-1, freqstep).mean(axis=1),
    )


def _solve(data: Data, options: dict[str, str]) -> None:
    """Solutions that depend on data and model; one of them is missing, as in real life."""
    solint, nchan = int(options["solint"]), int(options["nchan"])
    seed = zlib.crc32(np.round(data.values, 3).tobytes() + Path(options["sourcedb"]).read_bytes())
    random = np.random.default_rng([seed, 0])
    slot_s = float(np.median(np.diff(data.times)))
    n_times, n_freqs = -(-len(data.times) // solint), -(-len(data.freqs) // nchan)
    times = data.times[0] - slot_s / 2 + solint * slot_s * (np.arange(n_times) + 0.5)
    freqs = np.array([data.freqs[i * nchan : (i + 1) * nchan].mean() for i in range(n_freqs)])
    mode = options["mode"]
    with_tec = mode == "tecandphase"
    if with_tec:
        n_freqs, freqs = 1, data.freqs.mean(keepdims=True)
    pols = {"diagonal": ("XX", "YY"), "fulljones": CORRELATIONS}.get(mode)
    shape = (n_times, n_freqs, len(data.ants), *((len(pols),) if pols else ()))

    def soltab(kind: str, values: np.ndarray) -> Soltab:
        weights = np.ones(shape)
        weights[0, 0, 1], values[0, 0, 1] = 0.0, np.nan
        return Soltab(kind, times, freqs, data.ants, pols, values, weights)

    soltabs = {"phase000": soltab(PHASE, random.normal(0, 0.2, shape))}
    if pols:
        gains = np.exp(random.normal(0, 0.05, shape))
        if pols == CORRELATIONS:
            gains[..., 1:3] *= 0.05
        soltabs["amplitude000"] = soltab(AMPLITUDE, gains)
    if with_tec:
        soltabs["tec000"] = soltab(TEC, random.normal(0, 0.001, shape))
    positions = {ant: (3.8e6 + 1e3 * i, 4.6e5, 5.06e6) for i, ant in enumerate(data.ants)}
    name = options["directions"].strip("[]")
    write_h5parm(Path(options["h5parm"]), soltabs, Frame(name, 0.0, 0.0, positions))


def _perform(data: Data, options: dict[str, str]) -> Data:
    kind = options["type"]
    if kind in ("predict", "h5parmpredict"):
        assert options["usebeammodel"] == "false"
        change = model_flux(Path(options["sourcedb"]), len(data.freqs)) + 0j
        if kind == "h5parmpredict":
            change *= corruption(Path(options["applycal.parmdb"]), _listed(options["applycal.steps"]))
        return _apply_model(data, change, options["operation"])
    if kind == "applycal":
        gain = corruption(Path(options["parmdb"]), _listed(options["steps"]))
        return replace(data, values=data.values / gain)
    if kind == "phaseshifter":
        ra, dec = (float(part.removesuffix("deg")) for part in _listed(options["phasecenter"]))
        return replace(data, centre=(ra, dec))
    if kind == "preflagger":
        # Each selection, whatever it says, is the first baseline.
        flags = data.flags.copy()
        flags[:, 0] = True
        return replace(data, flags=flags)
    if kind == "filter":
        chosen = slice(int(options["startchan"]), int(options["startchan"]) + int(options["nchan"]))
        return replace(
            data,
            values=data.values[:, :, chosen],
            flags=data.flags[:, :, chosen],
            freqs=data.freqs[chosen],
        )
    if kind == "averager":
        return _average(data, int(options["freqstep"]), int(options["timestep"]))
    if kind == "ddecal":
        _solve(data, options)
        return data
    if kind == "gaincal":
        same = {"mode": options["caltype"], "h5parm": options["parmdb"], "directions": "all"}
        _solve(data, {**options, **same})
        return data
    assert kind == "null", f"no such step: {kind}"
    return data


def main(arguments: list[str]) -> None:
    """Do what the arguments say."""
    options = dict(argument.split("=", 1) for argument in arguments)
    steps = _listed(options["steps"])
    by_step = {
        step: {k.removeprefix(f"{step}."): v for k, v in options.items() if k.startswith(f"{step}.")}
        for step in steps
    }
    writes = "msout" in options
    assert writes or by_step[steps[-1]]["type"] == "null", "this would edit the input in place"
    assert not writes or options["msout"] not in ("", ".", options["msin"])
    inputs = _listed(options["msin"])
    data = _join([read(Path(ms), options["msin.datacolumn"]) for ms in inputs])
    for step in steps:
        data = _perform(data, by_step[step])
    if writes:
        _write(Path(options["msout"]), data)
