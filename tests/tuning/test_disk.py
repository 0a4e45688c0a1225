"""How much disk data and images take."""

from __future__ import annotations

import pytest

from factor.tuning.averaging import Averaging
from factor.tuning.disk import data_bytes, imaging_bytes


def test_data() -> None:
    """A full night of all Dutch stations: 20 bands of 20 channels, 8 hours of 8 s."""
    pieces = [(300, 400)] * 12
    full = data_bytes(pieces, 62, Averaging(1, 1))
    # Values, weights and flags of 1953 baselines and 4 correlations.
    assert full == pytest.approx(12 * 300 * 1953 * 400 * 4 * 12.125, rel=0.02)
    assert data_bytes(pieces, 62, Averaging(4, 2)) == pytest.approx(full / 8, rel=0.05)


def test_images() -> None:
    """WSClean writes images of each channel and of all together before it is done."""
    assert imaging_bytes(1000, 500, 1) == 6 * 4 * 500_000
    assert imaging_bytes(1000, 500, 4) == 5 * imaging_bytes(1000, 500, 1)
