"""Spectra for models that were cleaned in one output channel, which have none of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.directions.geometry import Floats, unit_vectors
from factor.products.models.skymodel import Components, concatenate, flux_at, read
from factor.products.models.sources import SOURCE_FWHM_ARCSEC

#: Spectral index of a source of which nothing is known: the usual one of radio sources.
USUAL_INDEX = -0.8

#: Indices beyond these are those of noise.
STEEPEST, MOST_INVERTED = -3.0, 2.0


def with_initial_spectra(components: Components, initial: Sequence[Path]) -> Components:
    """Give components without any spectrum that of the initial model's sources at their place.

    Parameters
    ----------
    components : Components
        Of one image. They are returned as they are when one of them has a spectrum: then the
        image had output channels, to which spectra were fitted.
    initial : sequence of Path
        Initial models of the same sources.

    Returns
    -------
    Components
        Each with the spectral index of what the initial models hold within half an arcminute,
        weighted with flux; where they hold nothing, or no spectrum either, `USUAL_INDEX`.
    """
    if not len(components) or np.any(components.spectral_index):
        return components
    models = [model for model in map(read, initial) if len(model) and np.any(model.spectral_index)]
    freq_hz = float(np.median(components.reference_freq_hz))
    index = np.full(len(components), USUAL_INDEX)
    if models and freq_hz > 0.0:
        index = _index_nearby(components, concatenate(models), freq_hz)
    return replace(
        components,
        spectral_index=index[:, None],
        logarithmic_si=np.full(len(components), True),
    )


def _index_nearby(components: Components, initial: Components, freq_hz: float) -> Floats:
    from scipy.spatial import cKDTree

    tree = cKDTree(unit_vectors(initial.ra_deg, initial.dec_deg))
    places = unit_vectors(components.ra_deg, components.dec_deg)
    near = tree.query_ball_point(places, np.radians(SOURCE_FWHM_ARCSEC / 2.0 / 3600.0))
    low, high = flux_at(initial, 0.97 * freq_hz), flux_at(initial, 1.03 * freq_hz)
    sums = np.array([(low[found].sum(), high[found].sum()) for found in near])
    index = np.full(len(components), USUAL_INDEX)
    known = (sums > 0.0).all(axis=1)
    ratio = sums[known, 1] / sums[known, 0]
    index[known] = np.clip(np.log(ratio) / np.log(1.03 / 0.97), STEEPEST, MOST_INVERTED)
    return index
