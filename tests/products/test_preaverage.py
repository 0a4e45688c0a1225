"""Averaging by the length of the baseline, before a faint calibrator is solved."""

from __future__ import annotations

import numpy as np

from factor.products.preaverage import LONGEST_SIGMA_S, averaging_sigma_s, running_mean


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
