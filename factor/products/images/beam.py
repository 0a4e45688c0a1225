"""The primary beam of an image, from EveryBeam's station responses.

The data were corrected for the beam in one direction, the reference. What is left of it
elsewhere is, for stations p and q, the product of ``inv(J0) J(s)`` of p and the conjugate
transpose of that of q; the beam of a Stokes I image is its mean over times, baselines and
frequencies with the weights of the image (Tasse et al. 2013, A&A 553, A105; van Weeren
et al. 2016, ApJS 223, 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.constants import speed_of_light

from factor.errors import FactorError
from factor.products.images.image import SkyGrid


@dataclass(frozen=True)
class BeamSampling:
    """How finely the beam is evaluated; it varies slowly, so a little is enough.

    Attributes
    ----------
    spacing_deg : float
        Distance of the grid points between which splines interpolate. A Gaussian of
        3 degrees FWHM is met to 1e-5 with 0.25 degrees.
    interval_s : float
        Longest piece of time that one evaluation stands for.
    bandwidth_hz : float
        Widest piece of frequency that one evaluation stands for.
    slots : int
        Time slots of each piece whose weights are read.
    """

    spacing_deg: float = 0.25
    interval_s: float = 900.0
    bandwidth_hz: float = 3e6
    slots: int = 3


@dataclass(frozen=True)
class BeamWeights:
    """What of the data an image uses.

    Attributes
    ----------
    minuv_lambda, maxuv_lambda : float
        Range of baseline lengths in wavelengths.
    robust : float or None
        Briggs robustness; None for natural weights.
    field_of_view_deg : float
        Width of the images, which sets the cells in which Briggs weights count.
    """

    minuv_lambda: float = 0.0
    maxuv_lambda: float = math.inf
    robust: float | None = None
    field_of_view_deg: float = 1.0


@dataclass(frozen=True)
class PrimaryBeam:
    """The primary beam on a mosaic's grid.

    Attributes
    ----------
    data : ndarray of float32, shape (ny, nx)
        Stokes I response, 1 at the reference direction.
    freq_hz : float
        Mean frequency with the same weights.
    grid : SkyGrid
    """

    data: NDArray[np.float32]
    freq_hz: float
    grid: SkyGrid


@dataclass(frozen=True)
class _Sample:
    """A piece of time and frequency of one measurement set."""

    time_mjd_s: float
    freq_hz: float
    weights: NDArray[np.float64]
    """Shape (stations, stations), zero below and on the diagonal."""
    uv_lambda: NDArray[np.float64]
    """Mean baseline length in the same shape."""


def beam_reference(ms: Path) -> tuple[float, float]:
    """The direction in which the beam has been taken out of DATA.

    LOFAR_APPLIED_BEAM_DIR of the column where a beam was applied, else the field's
    REFERENCE_DIR (never PHASE_DIR, which follows a phase shift).

    Returns
    -------
    ra_rad, dec_rad : float
    """
    import casacore.tables as ct

    with ct.table(str(ms), ack=False) as main:
        keywords = main.getcolkeywords("DATA") if "DATA" in main.colnames() else {}
        field_id = int(main.getcell("FIELD_ID", 0)) if main.nrows() else 0
    mode = str(keywords.get("LOFAR_APPLIED_BEAM_MODE", "None")).lower()
    applied = keywords.get("LOFAR_APPLIED_BEAM_DIR")
    if mode != "none" and isinstance(applied, dict) and "m0" in applied:
        return float(applied["m0"]["value"]), float(applied["m1"]["value"])
    with ct.table(f"{ms}::FIELD", ack=False) as fields:
        ra, dec = fields.getcell("REFERENCE_DIR", field_id)[0]
    return float(ra), float(dec)


def primary_beam(
    mss: Sequence[Path],
    grid: SkyGrid,
    *,
    weights: BeamWeights | None = None,
    sampling: BeamSampling | None = None,
) -> PrimaryBeam:
    """Stokes I primary beam of an image of measurement sets.

    Parameters
    ----------
    mss : sequence of Path
        All bands and chunks that are in the image, as they are in the field's own phase
        centre (no shifted facet data).
    grid : SkyGrid
        The mosaic's pixels.
    weights, sampling : optional

    Raises
    ------
    FactorError
        When no unflagged data are found.
    """
    weights = weights or BeamWeights()
    sampling = sampling or BeamSampling()
    coarse, x_nodes, y_nodes = _coarse_grid(grid, sampling.spacing_deg)
    samples = [(ms, sample) for ms in mss for sample in _samples(ms, sampling, weights)]
    density = _RadialDensity.of([s for _, s in samples], weights)
    total, response, moment = 0.0, np.zeros((coarse.height, coarse.width)), 0.0
    telescopes: dict[Path, tuple[Any, tuple[float, float]]] = {}
    for ms, sample in samples:
        if ms not in telescopes:
            telescopes = {ms: (_telescope(ms), beam_reference(ms))}
        telescope, reference = telescopes[ms]
        jones, alive = _differential_jones(telescope, coarse, reference, sample)
        image_weights = sample.weights * density.factor(sample.uv_lambda) * np.outer(alive, alive)
        part = float(image_weights.sum())
        response += stokes_i_response(jones, image_weights)
        moment += sample.freq_hz * part
        total += part
    if total <= 0:
        names = ", ".join(str(ms) for ms in mss[:3])
        raise FactorError(f"no unflagged data for the primary beam in {len(mss)} files: {names}")
    data = _spline_zoom(response / total, (x_nodes, y_nodes), grid)
    return PrimaryBeam(data, moment / total, grid)


def stokes_i_response(
    jones: NDArray[np.complexfloating[Any, Any]], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Response of a Stokes I image to an unpolarised source: sum over baselines.

    Half the trace of ``J_p J_q^H``, leakage terms included, times the weights.

    Parameters
    ----------
    jones : ndarray of complex, shape (stations, ny, nx, 2, 2)
    weights : ndarray, shape (stations, stations)

    Returns
    -------
    ndarray, shape (ny, nx)
    """
    n, ny, nx = jones.shape[:3]
    elements = jones.reshape(n, ny * nx * 4)
    partner = weights.astype(jones.dtype) @ elements.conj()
    products: NDArray[np.float64] = (elements * partner).real.sum(axis=0)
    response: NDArray[np.float64] = 0.5 * products.reshape(ny, nx, 4).sum(axis=-1)
    return response


def _telescope(ms: Path) -> Any:
    import everybeam

    mode = everybeam.BeamNormalisationMode.none
    return everybeam.load_telescope(str(ms), beam_normalisation_mode=mode)


def _coarse_grid(grid: SkyGrid, spacing_deg: float) -> tuple[Any, NDArray[np.float64], NDArray[np.float64]]:
    """EveryBeam's grid around the mosaic's tangent point, and its nodes in mosaic pixels.

    EveryBeam's pixel (x, y) lies at l = (width / 2 - x) dl, m = (y - height / 2) dm of a
    SIN projection, l to the east: the mosaic's own, only coarser.
    """
    import everybeam

    # One node more than needed on each side keeps the splines' ends outside the mosaic.
    half_x = math.ceil(0.5 * grid.nx * grid.cellsize_deg / spacing_deg) + 1
    half_y = math.ceil(0.5 * grid.ny * grid.cellsize_deg / spacing_deg) + 1
    spacing = math.radians(spacing_deg)
    coarse = everybeam.GridSettings()
    coarse.width, coarse.height = 2 * half_x + 1, 2 * half_y + 1
    coarse.ra, coarse.dec = math.radians(grid.ra_deg), math.radians(grid.dec_deg)
    coarse.dl = coarse.dm = spacing
    # An odd width puts the centre half a spacing off EveryBeam's middle.
    coarse.l_shift, coarse.m_shift = 0.0, 0.0
    step = spacing_deg / grid.cellsize_deg
    columns = (np.arange(coarse.width) - coarse.width / 2) * step + grid.nx // 2
    rows = (np.arange(coarse.height) - coarse.height / 2) * step + grid.ny // 2
    return coarse, columns, rows


def _spline_zoom(
    values: NDArray[np.float64],
    nodes: tuple[NDArray[np.float64], NDArray[np.float64]],
    grid: SkyGrid,
) -> NDArray[np.float32]:
    from scipy.interpolate import make_interp_spline

    along_x = make_interp_spline(nodes[0], np.eye(nodes[0].size), k=3)(np.arange(grid.nx))
    along_y = make_interp_spline(nodes[1], np.eye(nodes[1].size), k=3)(np.arange(grid.ny))
    zoomed: NDArray[np.float32] = (along_y @ values).astype(np.float32) @ along_x.T.astype(np.float32)
    return zoomed


def _differential_jones(
    telescope: Any, coarse: Any, reference: tuple[float, float], sample: _Sample
) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """Jones matrices relative to the reference, and which stations have a response there.

    A station without one can't have been corrected: its data carry no weight.
    """
    time, freq = sample.time_mjd_s, sample.freq_hz
    jones = telescope.gridded_response(coarse, time, freq)
    stations = range(telescope.nr_stations)
    centre = np.array([telescope.station_response(time, i, freq, *reference) for i in stations])
    alive = np.abs(np.linalg.det(centre)) > 1e-12
    centre[~alive] = np.eye(2)
    differential: NDArray[np.complex64] = np.einsum(
        "sij,syxjk->syxik", np.linalg.inv(centre), jones, optimize=True
    )
    return differential, alive


def _samples(ms: Path, sampling: BeamSampling, weights: BeamWeights) -> Iterator[_Sample]:
    import casacore.tables as ct

    with ct.table(f"{ms}::SPECTRAL_WINDOW", ack=False) as windows:
        freqs = np.asarray(windows.getcell("CHAN_FREQ", 0), dtype=np.float64)
    with ct.table(f"{ms}::ANTENNA", ack=False) as antennas:
        n_stations = antennas.nrows()
    pieces = max(1, math.ceil((freqs.max() - freqs.min()) / sampling.bandwidth_hz))
    blocks = np.array_split(np.arange(freqs.size), min(pieces, freqs.size))
    with ct.table(str(ms), ack=False) as main:
        row_times = main.getcol("TIME")
        times = np.unique(row_times)
        buckets = max(1, math.ceil((times[-1] - times[0]) / sampling.interval_s))
        for bucket in np.array_split(times, min(buckets, times.size)):
            slots = np.unique(np.linspace(0, bucket.size - 1, 2 * sampling.slots + 1).astype(int)[1::2])
            rows = np.flatnonzero(np.isin(row_times, bucket[slots]))
            selected = main.selectrows(rows)
            columns = _Rows.read(selected, weights, freqs)
            for block in blocks:
                sample = columns.sample(block, freqs, n_stations)
                sample = replace(
                    sample,
                    time_mjd_s=float(bucket[bucket.size // 2]),
                    weights=sample.weights * (bucket.size / slots.size),
                )
                if sample.weights.any():
                    yield sample


@dataclass(frozen=True)
class _Rows:
    """Columns of a few time slots."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    weights: NDArray[np.float64]
    """Shape (rows, channels): zero where flagged or outside the range of baselines."""
    length_m: NDArray[np.float64]

    @classmethod
    def read(cls, table: Any, weights: BeamWeights, freqs_hz: NDArray[np.float64]) -> _Rows:
        first, second = table.getcol("ANTENNA1"), table.getcol("ANTENNA2")
        flags = table.getcol("FLAG")
        spectrum = table.getcol("WEIGHT_SPECTRUM").astype(np.float64)
        ends = [0, spectrum.shape[-1] - 1]
        good = ~flags[..., ends].any(axis=-1) & (first != second)[:, None]
        length = np.hypot(*table.getcol("UVW")[:, :2].T)
        uv_lambda = length[:, None] * freqs_hz / speed_of_light
        good &= (uv_lambda >= weights.minuv_lambda) & (uv_lambda <= weights.maxuv_lambda)
        used = np.where(good, spectrum[..., ends].mean(axis=-1), 0.0)
        return cls(first, second, used, length)

    def sample(self, block: NDArray[np.int64], freqs_hz: NDArray[np.float64], n_stations: int) -> _Sample:
        weight = self.weights[:, block].sum(axis=1)
        moment = float((self.weights[:, block] @ freqs_hz[block]).sum())
        pairs = self.first * n_stations + self.second
        shape = (n_stations, n_stations)
        table = np.bincount(pairs, weight, n_stations**2).astype(np.float64).reshape(shape)
        counts = np.maximum(np.bincount(pairs, minlength=n_stations**2), 1).reshape(shape)
        lengths = np.bincount(pairs, self.length_m, n_stations**2).reshape(shape) / counts
        total = float(weight.sum())
        freq = moment / total if total > 0 else float(freqs_hz[block].mean())
        return _Sample(0.0, freq, table, lengths * freq / speed_of_light)


@dataclass(frozen=True)
class _RadialDensity:
    """Briggs weights from the mean density of the data at each baseline length."""

    edges: NDArray[np.float64]
    cell_weight: NDArray[np.float64]
    """Sum of weights in one uv cell, per ring."""
    f2: float

    @classmethod
    def of(cls, samples: Sequence[_Sample], weights: BeamWeights) -> _RadialDensity:
        if weights.robust is None or not samples:
            return cls(np.array([0.0, np.inf]), np.zeros(1), 0.0)
        lengths = np.concatenate([s.uv_lambda[s.weights > 0] for s in samples])
        values = np.concatenate([s.weights[s.weights > 0] for s in samples])
        low, high = max(float(lengths.min()), 1.0), float(lengths.max()) * 1.001
        edges = np.geomspace(0.999 * low, high, 33)
        ring, _ = np.histogram(lengths, edges, weights=values)
        # Each visibility also counts at its mirrored place in the uv plane.
        cells = math.pi * np.diff(edges**2) * math.radians(weights.field_of_view_deg) ** 2
        cell_weight = 2.0 * ring / cells
        # Briggs 1995 as WSClean has it: f^2 = (5 10^-R)^2 / (sum W_k^2 / sum w_i).
        mean_square = float((cell_weight**2 * cells).sum() / (2.0 * values.sum()))
        return cls(edges, cell_weight, (5.0 * 10.0**-weights.robust) ** 2 / mean_square)

    def factor(self, uv_lambda: NDArray[np.float64]) -> NDArray[np.float64]:
        """What multiplies the weight of a visibility of each baseline length."""
        ring = np.clip(np.searchsorted(self.edges, uv_lambda) - 1, 0, self.cell_weight.size - 1)
        factors: NDArray[np.float64] = 1.0 / (1.0 + self.f2 * self.cell_weight[ring])
        return factors
