"""Averaging by the length of the baseline, before a faint calibrator is solved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.products import preaverage
from factor.products.preaverage import LONGEST_SIGMA_S, average_baselines, averaging_sigma_s, running_mean

SLOT_S = 8.0


def test_short_baselines_are_averaged_longer() -> None:
    """Remote stations' phases change within seconds, those between neighbours within minutes."""
    sigmas = [averaging_sigma_s(length) for length in (0.0, 1e3, 25e3, 100e3)]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[0] == LONGEST_SIGMA_S
    assert sigmas[2] == 4.0
    assert sigmas[3] == 2.0


def test_flagged_data_do_not_enter_a_mean() -> None:
    """Interference below flags would be spread over its surroundings."""
    values = np.ones((20, 1, 1), dtype=np.complex64)
    weights = np.ones((20, 1, 1), dtype=np.float32)
    values[7], weights[7] = np.nan, 0.0
    values[12], weights[12] = 1e6, 0.0
    mean = running_mean(values, weights, 2.0)
    np.testing.assert_allclose(mean, 1.0, rtol=1e-6)


def test_what_has_nothing_around_it_stays() -> None:
    """A baseline that is flagged all night is left alone, without a warning."""
    values = np.full((5, 1, 1), 3 + 4j, dtype=np.complex64)
    mean = running_mean(values, np.zeros((5, 1, 1), dtype=np.float32), 1.0)
    np.testing.assert_array_equal(mean, values)


def make_ms(path: Path) -> dict[str, Any]:
    """Noise of three stations and a night's gap, 3 channels, some of it flagged; its columns."""
    import casacore.tables as ct

    rng = np.random.default_rng(3)
    pairs = np.array([(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)], dtype=np.int32)
    times = SLOT_S * np.arange(40) + np.where(np.arange(40) < 25, 0.0, 80000.0)
    shape = (len(times) * len(pairs), 3, 2)
    columns = {
        "ANTENNA1": np.tile(pairs[:, 0], len(times)),
        "ANTENNA2": np.tile(pairs[:, 1], len(times)),
        "TIME": np.repeat(times, len(pairs)),
        "DATA": (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64),
        "FLAG": rng.random(shape) < 0.2,
        "WEIGHT_SPECTRUM": rng.uniform(1.0, 2.0, shape).astype(np.float32),
    }
    kinds = {"c": "complex", "b": "boolean", "f": "float"}
    scalars = [ct.makescacoldesc(n, columns[n].dtype.type(0).item()) for n in list(columns)[:3]]
    arrays = [
        ct.makearrcoldesc(n, columns[n].dtype.type(0).item(), 2, valuetype=kinds[columns[n].dtype.kind])
        for n in list(columns)[3:]
    ]
    with ct.table(str(path), ct.maketabdesc(scalars + arrays), nrow=shape[0], ack=False) as main:
        for name, values in columns.items():
            main.putcol(name, values)
        places = ct.maketabdesc([ct.makearrcoldesc("POSITION", 0.0, 1, valuetype="double")])
        with ct.table(f"{path}/ANTENNA", places, nrow=3, ack=False) as antennas:
            antennas.putcol("POSITION", np.array([[0.0, 0, 0], [3000.0, 0, 0], [40000.0, 0, 0]]))
            main.putkeyword("ANTENNA", antennas)
    return columns


@pytest.mark.parametrize("most_values", [500, 10**6], ids=["channel by channel", "at once"])
def test_each_baseline_is_averaged_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_values: int
) -> None:
    """Neither another baseline nor another night enters a mean; the data themselves stay."""
    import casacore.tables as ct

    monkeypatch.setattr(preaverage, "_MOST_VALUES", most_values)
    columns = make_ms(tmp_path / "a.ms")
    average_baselines(tmp_path / "a.ms", tmp_path / "b.ms", SLOT_S)
    expected = columns["DATA"].copy()
    weights = np.where(columns["FLAG"], 0.0, columns["WEIGHT_SPECTRUM"])
    for one, other, length in ((0, 1, 3e3), (0, 2, 40e3), (1, 2, 37e3)):
        for night in (columns["TIME"] < 40000.0, columns["TIME"] > 40000.0):
            rows = np.flatnonzero(night & (columns["ANTENNA1"] == one) & (columns["ANTENNA2"] == other))
            sigma = averaging_sigma_s(length) / SLOT_S
            reach = int(preaverage.REACH * sigma + 0.5)
            apart = np.subtract.outer(np.arange(len(rows)), np.arange(len(rows)))
            kernel = np.exp(-0.5 * (apart / sigma) ** 2) * (np.abs(apart) <= reach)
            total = np.einsum("ij,jkl->ikl", kernel, weights[rows])
            mean = np.einsum("ij,jkl->ikl", kernel, weights[rows] * columns["DATA"][rows])
            own = columns["DATA"][rows]
            expected[rows] = np.where(total > 0, mean / np.where(total > 0, total, 1.0), own)
    for name, wanted in (("a", columns["DATA"]), ("b", expected)):
        with ct.table(str(tmp_path / f"{name}.ms"), ack=False) as main:
            np.testing.assert_allclose(main.getcol("DATA"), wanted, rtol=1e-5, atol=1e-6)
