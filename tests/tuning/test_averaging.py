"""Smearing against the published formulae, and what is averaged because of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from factor.tuning.averaging import (
    Sampling,
    bandwidth_smearing,
    choose_averaging,
    longest_path_lambda,
    time_smearing,
)

#: One band of LOFAR's as pipelines leave it: 1.95 MHz in 20 channels, 4 s.
DATA = Sampling(n_channels=20, chan_width_hz=97656.25, freq_hz=143e6, interval_s=4.0)


@pytest.mark.parametrize(("beta", "peak"), [(0.5, 0.943), (1.0, 0.806), (2.0, 0.534), (4.0, 0.281)])
def test_bandwidth_smearing_is_that_of_bridle_and_schwab(beta: float, peak: float) -> None:
    """The mean of a Gaussian beam over the shifts that a square band of beta beams gives."""
    offsets = np.linspace(-beta / 2, beta / 2, 20001)
    mean = float(np.exp(-4 * math.log(2) * offsets**2).mean())
    assert mean == pytest.approx(peak, abs=0.02)
    loss = bandwidth_smearing(beta * 1e5, 1e8, 1.0, 1e-3)
    assert 1 - loss == pytest.approx(mean, abs=0.001)


def test_no_smearing_at_the_centre() -> None:
    """At the phase centre, or for one narrow channel, nothing is lost."""
    assert bandwidth_smearing(1e6, 1e8, 0.0, 1e-3) == 0.0
    assert time_smearing(16.0, 0.0, 1e-3) == 0.0


def test_time_smearing_is_that_of_bridle_and_schwab() -> None:
    """Eq. 18-42: 1 - 1.22e-9 (theta / beam)^2 tau^2; e.g. 1 degree, 6", 10 s lose 4.4 %."""
    assert time_smearing(10.0, 1.0, 6 / 3600) == pytest.approx(1.22e-9 * 600**2 * 100)
    assert time_smearing(10.0, 1.0, 6 / 3600) == pytest.approx(0.0439, abs=1e-4)
    assert time_smearing(1e6, 1.0, 6 / 3600) == 1.0


@pytest.mark.parametrize("offset_deg", [0.05, 0.3, 0.8, 2.0])
@pytest.mark.parametrize("limit", [0.02, 0.15, 0.4])
def test_the_loss_stays_within_the_limit(offset_deg: float, limit: float) -> None:
    """The limit holds for frequency and for time, unless the data themselves lose more."""
    beam_deg = 6 / 3600
    chosen = choose_averaging(DATA, offset_deg, beam_deg, limit)
    width, time = chosen.freqstep * DATA.chan_width_hz, chosen.timestep * DATA.interval_s
    in_frequency = bandwidth_smearing(width, DATA.freq_hz, offset_deg, beam_deg)
    in_time = time_smearing(time, offset_deg, beam_deg)
    assert chosen.freqstep == 1 or in_frequency <= limit + 1e-9
    assert chosen.timestep == 1 or in_time <= limit + 1e-9
    assert DATA.n_channels % chosen.freqstep == 0


def test_more_may_be_lost_near_the_centre() -> None:
    """A small field is averaged further than a large one: that is what saves time."""
    steps = [choose_averaging(DATA, d, 6 / 3600, 0.075) for d in (0.05, 0.3, 2.0)]
    assert steps[0].freqstep > steps[1].freqstep >= steps[2].freqstep
    assert steps[0].timestep > steps[1].timestep >= steps[2].timestep
    assert choose_averaging(DATA, 0.3, 6 / 3600, 0.4).timestep >= steps[1].timestep


def test_no_offset_is_no_crash() -> None:
    """A point at the centre may be averaged as far as is sensible at all."""
    chosen = choose_averaging(DATA, 0.0, 6 / 3600, 0.15)
    assert chosen.freqstep == 20
    assert 1 <= chosen.timestep * DATA.interval_s <= 120


def test_long_slots_are_kept() -> None:
    """Data that come in longer slots than any average are not a division by zero."""
    slow = Sampling(4, 48828.125, 143e6, 180.0)
    assert choose_averaging(slow, 0.1, 6 / 3600, 0.15).timestep == 1


@pytest.mark.parametrize("limit", [0.01, 0.05, 0.2])
def test_short_baselines_lose_what_is_granted(limit: float) -> None:
    """The mean over a path, and over all angles between path and offset, against the formula."""
    path = longest_path_lambda(0.4, limit)
    angles = np.linspace(0.0, 2.0 * math.pi, 721)
    mean = float(np.sinc(path * math.radians(0.4) * np.cos(angles)).mean())
    assert limit * 0.8 <= 1.0 - mean <= limit * 1.01


def test_paths_and_times_agree() -> None:
    """Baselines all along the path of their mean square lose what the formula for time gives."""
    beam_deg, offset_deg, interval_s = 6 / 3600, 0.3, 20.0
    # Mean square of one component of the baselines behind a Gaussian beam: 2 ln 2 / (pi b)^2.
    component = math.sqrt(2.0 * math.log(2.0)) / (math.pi * math.radians(beam_deg))
    path = 2.0**0.5 * component * 2.0 * math.pi * interval_s / 86164.1
    loss = time_smearing(interval_s, offset_deg, beam_deg)
    assert longest_path_lambda(offset_deg, loss) == pytest.approx(path, rel=0.01)
