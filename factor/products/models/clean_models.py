"""Sky models made of the clean components of images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from factor.directions.geometry import friends_of_friends, separation_deg, to_plane, unit_vectors
from factor.products.images.image import Image, read_image
from factor.products.images.positions import WHOLE_FRACTION, drift, find_peak
from factor.products.models.catalogues import anchored_to_catalogue, read_catalogue
from factor.products.models.skymodel import Components, concatenate, flux_at, read, select, write
from factor.products.models.sources import SOURCE_FWHM_ARCSEC, collapse_compact
from factor.products.models.spectra import with_initial_spectra
from factor.tuning.intervals import effective_flux_jy

log = logging.getLogger("factor.selfcal")

#: Components that must make up a source of the initial model for its centroid to be trusted.
FEWEST_COMPONENTS = 5

#: Components nearer to each other than this may be of one source.
SOURCE_RADIUS_ARCSEC = SOURCE_FWHM_ARCSEC / 2.0
#: A model that has so much of what another has of a source has all of it.
WHOLE_SOURCE = 0.9

#: Full width at half maximum of a Gaussian over its standard deviation.
SIGMA_TO_FWHM = 2.3548
#: Sources that are wider than so many beams are left as they were cleaned.
WIDEST_GAUSSIAN_BEAMS = 5.0

#: Resolution of the initial models.
INITIAL_BEAM_ARCSEC = 25.0
#: Farthest that a source may be from its place in a catalogue: half of that resolution.
CATALOGUE_RADIUS_ARCSEC = INITIAL_BEAM_ARCSEC / 2.0


def model_from_clean(source_list: Path, patch: str, path: Path, initial: Sequence[Path] = ()) -> None:
    """Write an image's clean components as a model of one patch.

    Components without a spectrum take that of initial models of the same sources.
    """
    write(with_initial_spectra(read(source_list), initial), path, patch)


def held_model(model: Path, image: Path, first: Path, patch: str, path: Path) -> None:
    """Write an image's model as the next solve wants it: where the first image has the source.

    Solutions cannot tell a position from a gradient of phase: what a model is off by, the next
    image is off by too, and resolved sources would walk by a little in every cycle.

    Parameters
    ----------
    model : Path
        What was cleaned in an image.
    image : Path
        That image.
    first : Path
        The image of the data as they came.
    patch : str
        Name of the one patch, the direction's.
    path : Path
        Model to write.
    """
    components = read(model)
    moved = drift(read_image(image), read_image(first))
    if moved is not None:
        east, north = moved
        ra = components.ra_deg - east / np.cos(np.radians(components.dec_deg))
        components = replace(components, ra_deg=ra % 360.0, dec_deg=components.dec_deg - north)
    write(components, path, patch)


def starting_model(
    model: Path,
    image: Path,
    initial: Sequence[Path],
    patch: str,
    path: Path,
    catalogue: Path | None = None,
) -> None:
    """Write the model of the first solve: sources as points and Gaussians where they are seen.

    A self-calibration keeps the positions that it starts with. Those of the clean components
    scatter, in an image that is not calibrated yet, with its sidelobes; the fitted peak of a
    compact source does not.

    Parameters
    ----------
    model : Path
        Clean components of the first image.
    image : Path
        The image that positions are taken from: the data as they came, without another
        direction's phases, which would tilt it.
    initial : sequence of Path
        Initial models of the calibrator, which give the position of a source that the
        image shows in pieces.
    patch : str
        Name of the one patch, the direction's.
    path : Path
        Model to write.
    catalogue : Path, optional
        Catalogue whose positions are taken instead, where it has the sources.
    """
    picture = read_image(image)
    beam_arcsec = 3600.0 * picture.restoring_beam.mean_deg
    sources = _rounded(collapse_compact(read(model), beam_arcsec), beam_arcsec)
    for one in initial:
        sources = _anchored(sources, read(one))
    sources = _seen(sources, picture)
    if catalogue is not None:
        anchored = anchored_to_catalogue(sources, read_catalogue(catalogue), CATALOGUE_RADIUS_ARCSEC)
        _tell_anchored(sources, anchored, patch)
        sources = anchored
    write(sources, path, patch)


def _tell_anchored(before: Components, after: Components, patch: str) -> None:
    """Say how far a catalogue has moved a model."""
    moved = 3600.0 * separation_deg(before.ra_deg, before.dec_deg, after.ra_deg, after.dec_deg)
    if not moved.any():
        log.warning(
            "%s: astrometry_catalogue has no source of its flux within %g arcsec of it: its position is "
            "that of its first image", patch, CATALOGUE_RADIUS_ARCSEC,
        )  # fmt: skip
    else:
        log.info("%s: the starting model is moved by %.2f arcsec to the catalogue", patch, moved.max())


def _seen(sources: Components, picture: Image) -> Components:
    """Sources moved to the peak of the image that they belong to, where it is one."""
    beam = picture.restoring_beam
    major, minor = 3600.0 * beam.bmaj_deg, 3600.0 * beam.bmin_deg
    spread = np.hypot(sources.major_arcsec, major) * np.hypot(sources.minor_arcsec, minor)
    expected = sources.flux_jy * major * minor / spread
    ra, dec = sources.ra_deg.copy(), sources.dec_deg.copy()
    for k in np.flatnonzero(expected > 0.0):
        peak = find_peak(picture, float(ra[k]), float(dec[k]), major)
        # Much more than the source is a brighter one beside it.
        if peak is not None and WHOLE_FRACTION <= peak.flux_jy / expected[k] <= 1.0 / WHOLE_FRACTION:
            ra[k], dec[k] = peak.ra_deg, peak.dec_deg
    return replace(sources, ra_deg=ra, dec_deg=dec)


def _rounded(components: Components, beam_arcsec: float) -> Components:
    """Resolved sources as Gaussians with the centroid and the extent of their components.

    Clean components of a resolved source are uneven in brightness; a solve would move the
    source onto the brightest of them.
    """
    labels = friends_of_friends(components.ra_deg, components.dec_deg, beam_arcsec / 3600.0)
    rounded = []
    for label in np.unique(labels):
        part = select(components, labels == label)
        gaussian = _gaussian(part, beam_arcsec) if len(part) >= FEWEST_COMPONENTS else None
        rounded.append(part if gaussian is None else gaussian)
    return concatenate(rounded) if rounded else components


def _gaussian(part: Components, beam_arcsec: float) -> Components | None:
    """One Gaussian for some components; None where they spread too far for one."""
    one = collapse_compact(part, 1e4)
    weights = part.flux_jy.clip(min=0.0)
    if len(one) != 1 or not weights.sum() > 0.0 or not one.flux_jy[0] > 0.0:
        return None
    x, y = to_plane(part.ra_deg, part.dec_deg, (float(one.ra_deg[0]), float(one.dec_deg[0])))
    spread = 3600.0**2 * np.cov(np.stack([x, y]), aweights=weights, ddof=0)
    values, axes = np.linalg.eigh(spread)
    minor, major = SIGMA_TO_FWHM * np.sqrt(values.clip(min=0.0))
    if major > WIDEST_GAUSSIAN_BEAMS * beam_arcsec:
        return None
    east, north = axes[:, 1]
    return replace(
        one,
        type=np.array(["GAUSSIAN"], dtype=np.str_),
        major_arcsec=np.array([max(major, 1.0)]),
        minor_arcsec=np.array([max(minor, 1.0)]),
        orientation_deg=np.array([float(np.degrees(np.arctan2(east, north))) % 180.0]),
    )


def _anchored(points: Components, initial: Components) -> Components:
    """Points moved to the centroid of the initial model's compact source that they lie in."""
    anchors = collapse_compact(initial, INITIAL_BEAM_ARCSEC)
    reach = INITIAL_BEAM_ARCSEC / 2.0
    ra, dec = points.ra_deg.copy(), points.dec_deg.copy()
    for k in np.flatnonzero(points.type == "POINT"):
        distance = 3600.0 * separation_deg(ra[k], dec[k], anchors.ra_deg, anchors.dec_deg)
        near = np.flatnonzero(distance <= reach)
        if not len(near):
            continue
        best = near[int(np.argmax(anchors.flux_jy[near]))]
        here = (anchors.ra_deg[best], anchors.dec_deg[best])
        around = 3600.0 * separation_deg(*here, initial.ra_deg, initial.dec_deg)
        # A few components on coarse pixels do not tell where a source is.
        if np.count_nonzero(around <= reach) >= FEWEST_COMPONENTS:
            ra[k], dec[k] = here
    return replace(points, ra_deg=ra, dec_deg=dec)


def effective_flux(components: Components, freq_hz: float) -> float:
    """Flux of a calibrator that counts for solving, Jy.

    S_peak (S_tot / S_peak)^(2/3), with S_peak the flux around its brightest component
    within the resolution of the initial model.
    """
    if not len(components):
        return 0.0
    flux = flux_at(components, freq_hz)
    brightest = int(np.argmax(flux))
    distance = separation_deg(
        components.ra_deg, components.dec_deg,
        components.ra_deg[brightest], components.dec_deg[brightest],
    )  # fmt: skip
    peak = float(flux[distance * 3600.0 <= INITIAL_BEAM_ARCSEC].sum())
    return effective_flux_jy(peak, float(flux.sum()))


def join_models(
    calibrator: tuple[Path, float], replaced: Sequence[Path], image_model: Path, patch: str, path: Path
) -> None:
    """Write the new model of a facet: the calibrator's, and what its image holds elsewhere.

    Parameters
    ----------
    calibrator : (Path, float)
        Model of the calibrator from self-calibration, and what its fluxes are divided by, to
        be on the scale of the direction's solutions.
    replaced : sequence of Path
        Initial models of the calibrator: components of the facet's image at these sources
        give way to the calibrator's model. Other sources that are in both are taken from the
        calibrator's too, unless that has only a part of them.
    image_model : Path
        What was cleaned in the facet's image.
    patch : str
        Name of the one patch, the direction's.
    path : Path
        Model to write.
    """
    new = _divided(read(calibrator[0]), calibrator[1])
    facet = read(image_model)
    old = concatenate([read(model) for model in replaced])
    if len(facet) and len(old):
        facet = select(facet, ~_near(facet, old, SOURCE_RADIUS_ARCSEC))
        beside = _near(new, old, SOURCE_RADIUS_ARCSEC) if len(new) else np.zeros(0, dtype=bool)
        new = concatenate([select(new, beside), *_whole_sources(select(new, ~beside), facet)])
    else:
        new = concatenate([new, facet])
    write(new, path, patch)


def _whole_sources(cut: Components, whole: Components) -> tuple[Components, Components]:
    """Leave each source of two models in one of them: in the first, unless that has only a part of it.

    A source at the edge of the calibrator's clean mask is in its model by what reached into the mask.
    """
    both = concatenate([cut, whole])
    labels = friends_of_friends(both.ra_deg, both.dec_deg, SOURCE_RADIUS_ARCSEC / 3600.0)
    first, second = labels[: len(cut)], labels[len(cut) :]
    n = int(labels.max(initial=-1)) + 1
    in_first = np.bincount(first, cut.flux_jy, n) >= WHOLE_SOURCE * np.bincount(second, whole.flux_jy, n)
    in_first &= np.bincount(first, minlength=n) > 0
    # What is in the first alone stays, negative components too.
    in_first |= np.bincount(second, minlength=n) == 0
    return select(cut, in_first[first]), select(whole, ~in_first[second])


def _divided(components: Components, factor: float) -> Components:
    """Components with lower fluxes; the terms of an ordinary polynomial are fluxes too."""
    ordinary = ~components.logarithmic_si[:, None]
    terms = np.where(ordinary, components.spectral_index / factor, components.spectral_index)
    return replace(components, flux_jy=components.flux_jy / factor, spectral_index=terms)


def _near(components: Components, others: Components, radius_arcsec: float) -> np.ndarray:
    """Which components lie within a radius of any of the others."""
    from scipy.spatial import cKDTree

    tree = cKDTree(unit_vectors(others.ra_deg, others.dec_deg))
    distance, _ = tree.query(unit_vectors(components.ra_deg, components.dec_deg))
    return np.asarray(distance <= np.radians(radius_arcsec / 3600.0))
