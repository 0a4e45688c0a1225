"""The weights that visibilities have in an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.constants import speed_of_light

from factor.products.solutions import imageweights
from factor.products.solutions.imageweights import (
    ImageWeights,
    Weighting,
    _Sample,
    read_image_weights,
    write_image_weights,
)
from factor.products.solutions.normalising import normalisation_factor
from tests.products.solutions.test_solutions import ANTS, amplitudes

FREQS = np.array([120e6, 122e6])


def sample(weights: np.ndarray, uvw: np.ndarray) -> _Sample:
    """Three baselines at three times; uvw in metres."""
    pairs = np.tile([[0, 1], [0, 2], [1, 2]], (3, 1))
    return _Sample(ANTS, pairs, np.repeat([5e9, 5e9 + 8, 5e9 + 16], 3), FREQS, uvw, weights)


def write(monkeypatch: pytest.MonkeyPatch, path: Path, one: _Sample, weighting: Weighting) -> ImageWeights:
    """Weights of one measurement set that needs no file."""
    monkeypatch.setattr(imageweights, "_read", lambda *_: one)
    write_image_weights([Path("a.ms")], weighting, path)
    return read_image_weights(path)


def test_natural_weights_are_sums(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Far towards natural weighting, what counts is the number of unflagged data."""
    weights = np.ones((9, 2))
    weights[2] = 0.0
    weights[:, 1] *= 2.0
    uvw = np.random.default_rng(0).uniform(1e3, 1e4, (9, 3))
    got = write(monkeypatch, tmp_path / "w.npz", sample(weights, uvw), Weighting(512, 1.5, 9.0, 0.0))
    assert got.baselines == pytest.approx(np.array([[0, 9, 9], [9, 0, 6], [9, 6, 0]]), rel=1e-6)
    assert got.cells == pytest.approx(np.array([[2, 4], [3, 6], [3, 6]]), rel=1e-6)


def test_uniform_weights_share_a_cell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Far towards uniform weighting, a cell counts once, however many data (of either sign) it has."""
    uvw = np.zeros((9, 3))
    uvw[0::3, :2], uvw[1::3, :2], uvw[2::3, :2] = (3e3, 1e3), (3e4, 1e4), (-3e4, -1e4)
    weights = np.ones((9, 2))
    got = write(monkeypatch, tmp_path / "w.npz", sample(weights, uvw), Weighting(64, 1.5, -9.0, 0.0))
    ratio = got.baselines[0, 1] / got.baselines[0, 2]
    assert ratio == pytest.approx(2.0, rel=1e-3)
    assert got.baselines[0, 2] == pytest.approx(got.baselines[1, 2], rel=1e-3)


def test_short_baselines_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the image leaves out has no say in the flux scale."""
    uvw = np.zeros((9, 3))
    uvw[:, 0] = 1e4
    uvw[0::3, 0] = 50.0 * speed_of_light / FREQS[1]
    got = write(monkeypatch, tmp_path / "w.npz", sample(np.ones((9, 2)), uvw), Weighting(64, 1.5, -0.5, 80.0))
    assert got.baselines[0, 1] == 0.0
    assert got.baselines[0, 2] > 0.0


def test_weights_follow_a_soltab() -> None:
    """Names decide, not order; a station that the image does not have weighs nothing."""
    table = amplitudes(np.ones((2, 2, 3, 2)))
    baselines = np.array([[0.0, 5.0], [5.0, 0.0]])
    times = table.times[0] + np.array([-250.0, -8.0, 16.0, 500.0])
    weights = ImageWeights(("RS305HBA", "CS001HBA0"), baselines, times, table.freqs, np.ones((4, 2)))
    between, cells = weights.of(table)
    assert np.array_equal(between, [[0, 0, 5], [0, 0, 0], [5, 0, 0]])
    assert np.array_equal(cells, [[3, 3], [1, 1]])


def test_the_scale_is_that_of_the_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rule 7: the weighted mean of data that gains corrupt is the flux that normalising keeps."""
    rng = np.random.default_rng(3)
    uvw = rng.uniform(-2e4, 2e4, (9, 3))
    one = sample(rng.uniform(0.5, 1.5, (9, 2)), uvw)
    level = np.array([1.0, 1.1, 0.5])[:, None] * np.ones((1, 2))
    table = amplitudes(np.ones((1, 2, 3, 2)) * level)
    weighting = Weighting(512, 1.5, -0.5, 0.0)
    between, cells = write(monkeypatch, tmp_path / "w.npz", one, weighting).of(table)
    factor = normalisation_factor(table, between, None, cells)
    (weighed,) = imageweights._briggs([one], weighting)
    gains = level[:, 0]
    seen = (gains[one.pairs[:, 0]] * gains[one.pairs[:, 1]])[:, None]
    expected = float((weighed.weights * seen).sum() / weighed.weights.sum())
    assert factor**2 == pytest.approx(expected, rel=1e-6)
    assert abs(normalisation_factor(table) ** 2 / expected - 1.0) > 0.01
