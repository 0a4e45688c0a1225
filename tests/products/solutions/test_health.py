"""The health of solutions: noise, random stations and flags are told apart from the ionosphere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from factor.products.solutions.health import senseless_stations, solution_values
from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Frame, Soltab, write_h5parm

ANTS = tuple(f"CS{n:03d}HBA0" for n in range(10))
TIMES = 5e9 + 8.0 * np.arange(200)
FREQS = np.array([140e6, 145e6])
FRAME = Frame("d", 218.0, 52.0, dict.fromkeys(ANTS, (0.0, 0.0, 0.0)))


def _values(path: Path, phases: np.ndarray, gains: np.ndarray, flagged: float = 0.0) -> dict[str, float]:
    weights = np.ones(phases.shape)
    weights[: int(flagged * len(TIMES))] = 0.0
    fast = Soltab(PHASE, TIMES, FREQS, ANTS, None, phases, weights)
    slow = Soltab(AMPLITUDE, TIMES[::50], FREQS, ANTS, ("XX", "YY"), gains, np.ones(gains.shape))
    write_h5parm(path, {"phase000": fast, "amplitude000": slow}, FRAME)
    return solution_values(path)


def test_ionosphere_is_no_noise(tmp_path: Path) -> None:
    """Phases that drift through several turns are good solutions."""
    drift = np.linspace(0.0, 20.0, len(TIMES))[:, None, None] * np.ones((1, 2, 10))
    values = _values(tmp_path / "a.h5", drift, np.ones((4, 2, 10, 2)))
    assert values["phase_scatter_rad"] < 0.1
    assert values["gain_scatter"] == values["bad_stations"] == values["flagged"] == 0.0


def test_mad_stations_and_flags(tmp_path: Path) -> None:
    """Three stations of random phases, one of random gains, one on another scale; flags."""
    random = np.random.default_rng(1)
    phases = random.normal(0.0, 0.2, (len(TIMES), 2, 10))
    phases[:, :, :3] = random.uniform(-np.pi, np.pi, (len(TIMES), 2, 3))
    gains = np.ones((4, 2, 10, 2))
    gains[:, :, 6] = 2.4
    gains[:, :, 5] = np.exp(random.normal(0.0, 1.5, (4, 2, 2)))
    values = _values(tmp_path / "b.h5", phases, gains, flagged=0.25)
    assert values["bad_stations"] == pytest.approx(0.5)
    assert senseless_stations(tmp_path / "b.h5") == tuple(ANTS[i] for i in (0, 1, 2, 5, 6))
    assert values["phase_scatter_rad"] == pytest.approx(0.2, abs=0.03)
    total = 200 * 2 * 10 + 4 * 2 * 10 * 2
    assert values["flagged"] == pytest.approx(50 * 2 * 10 / total)


def test_nothing_but_noise(tmp_path: Path) -> None:
    """A calibrator that is too faint leaves random phases at every station."""
    phases = np.random.default_rng(2).uniform(-np.pi, np.pi, (len(TIMES), 2, 10))
    values = _values(tmp_path / "c.h5", phases, np.ones((4, 2, 10, 2)))
    assert values["phase_scatter_rad"] > 1.2
    assert values["bad_stations"] == 1.0


def test_stations_without_solutions_are_bad(tmp_path: Path) -> None:
    """With too many stations left out the image is another one."""
    phases = np.zeros((len(TIMES), 2, 10))
    phases[:, :, 1] = np.nan
    values = _values(tmp_path / "d.h5", phases, np.ones((4, 2, 10, 2)))
    assert values["bad_stations"] == pytest.approx(0.1)
    assert senseless_stations(tmp_path / "d.h5") == ("CS001HBA0",)
