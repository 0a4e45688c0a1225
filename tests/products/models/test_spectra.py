"""Rule 8 with one band: new models take the spectra of the initial ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.products.models.skymodel import Components, flux_at, point_components, write
from factor.products.models.spectra import USUAL_INDEX, with_initial_spectra

FREQ_HZ = 144e6


def points(*north_arcsec: float, index: float = 0.0) -> Components:
    """Points of 1 Jy, so many arcsec north of a place."""
    dec = 52.0 + np.array(north_arcsec) / 3600.0
    flat = point_components(np.full(len(dec), 217.5), dec, np.ones(len(dec)), FREQ_HZ)
    return replace(flat, spectral_index=np.full((len(dec), 1), index))


def test_the_initial_index_is_taken(tmp_path: Path) -> None:
    """A steep source stays steep; what the initial model does not know gets the usual index."""
    write(points(0.0, 5.0, index=-1.2), tmp_path / "initial.skymodel", "")
    new = with_initial_spectra(points(3.0, 600.0), [tmp_path / "initial.skymodel"])
    assert new.spectral_index[:, 0] == pytest.approx([-1.2, USUAL_INDEX], abs=0.01)
    assert new.logarithmic_si.all()
    assert flux_at(new, 145e6)[0] == pytest.approx((145 / 144) ** -1.2, rel=1e-4)


def test_initial_models_without_spectra(tmp_path: Path) -> None:
    """A flat initial model says nothing about spectra."""
    write(points(0.0), tmp_path / "initial.skymodel", "")
    new = with_initial_spectra(points(0.0), [tmp_path / "initial.skymodel"])
    assert new.spectral_index[0, 0] == USUAL_INDEX


def test_ordinary_polynomials(tmp_path: Path) -> None:
    """WSClean's own spectra are slopes in Jy: -0.8 Jy for 1 Jy is an index of -0.8."""
    old = replace(points(0.0, index=-0.8), logarithmic_si=np.array([False]))
    write(old, tmp_path / "initial.skymodel", "")
    new = with_initial_spectra(points(0.0), [tmp_path / "initial.skymodel"])
    assert new.spectral_index[0, 0] == pytest.approx(-0.8, abs=0.01)


def test_fitted_spectra_stay(tmp_path: Path) -> None:
    """What was fitted to output channels knows better than the initial model."""
    write(points(0.0, index=-1.2), tmp_path / "initial.skymodel", "")
    fitted = points(0.0, index=-0.5)
    assert with_initial_spectra(fitted, [tmp_path / "initial.skymodel"]) is fitted


def test_nothing_was_cleaned() -> None:
    """An empty image has no spectra, and needs none."""
    empty = points()
    assert len(with_initial_spectra(empty, [])) == 0
