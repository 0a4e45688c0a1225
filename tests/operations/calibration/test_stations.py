"""Stations whose solutions make no sense are left out of the cycles that follow."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.errors import FactorError
from factor.operations.base import Solutions
from factor.operations.calibration.solving import GAINS, Target
from factor.operations.calibration.stations import without_senseless
from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Frame, Soltab, write_h5parm

ANTS = ("CS001HBA0", "CS002HBA0", "CS003HBA0", "RS106HBA", "RS205HBA")


def test_a_station_on_another_scale_goes_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is left out stays out, also when its solutions are gone then, and is named once."""
    times, freqs = 5e9 + 60.0 * np.arange(20), np.array([144e6])
    ones = np.ones((20, 1, 5, 2))
    gains = ones.copy()
    gains[:, :, 1] = 2.3
    soltabs = {
        "phase000": Soltab(PHASE, times, freqs, ANTS, None, 0.0 * ones[..., 0], ones[..., 0]),
        "amplitude000": Soltab(AMPLITUDE, times, freqs, ANTS, ("XX", "YY"), gains, ones),
    }
    path = tmp_path / "cycle03.h5"
    write_h5parm(path, soltabs, Frame("d", 0.0, 0.0))
    nothing: Any = None
    target = Target(nothing, "d", (0.0, 0.0), (), nothing, nothing, nothing, left_out=("RS205HBA",))
    solutions = Solutions("d", path, path, GAINS)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            target = without_senseless(target, solutions)
    assert target.left_out == ("RS205HBA", "CS002HBA0")
    assert len(caplog.records) == 1
    assert "from here on without CS002HBA0" in caplog.text
    with pytest.raises(FactorError, match="no two stations have solutions that make sense"):
        without_senseless(replace(target, left_out=ANTS[1:]), solutions)
