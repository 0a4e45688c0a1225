"""How far visibilities may be averaged before sources are smeared.

The peak of a source away from the phase centre is reduced by averaging; the formulae
are those of Bridle & Schwab 1989 (ASP Conf. Ser. 6, 247), for a Gaussian beam.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Longest integration that is chosen at all, however small the image.
LONGEST_S = 120.0


@dataclass(frozen=True)
class Averaging:
    """Steps by which to average, in channels and time slots."""

    freqstep: int
    timestep: int


def bandwidth_smearing(width_hz: float, freq_hz: float, offset_deg: float, beam_deg: float) -> float:
    """Reduction of the peak (0 none, 1 all) by a square channel of the given width."""
    beta = width_hz / freq_hz * offset_deg / beam_deg
    x = math.sqrt(math.log(2.0)) * beta
    return 0.0 if x < 1e-6 else 1.0 - math.sqrt(math.pi) / 2.0 * math.erf(x) / x


def time_smearing(interval_s: float, offset_deg: float, beam_deg: float) -> float:
    """Reduction of the peak by an integration, for a source near the pole (the usual worst case)."""
    return min(1.0, 1.22e-9 * (offset_deg / beam_deg) ** 2 * interval_s**2)


def longest_path_lambda(offset_deg: float, limit: float) -> float:
    """The path in the uv plane along which averaging costs a source the given part of its peak.

    Baseline-dependent averaging takes the same path for every baseline. Over p wavelengths the
    phase of a source turns by 2 pi p theta cos(phi), with phi the angle between path and offset.
    The mean over the path is a sinc, whose first term is averaged over phi: a loss of
    (pi p theta)^2 / 12 (Bridle & Schwab 1989, the derivation of their time-average smearing,
    before it is averaged over baselines).
    """
    return math.sqrt(12.0 * limit) / (math.pi * math.radians(max(offset_deg, 1e-6)))


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


@dataclass(frozen=True)
class Sampling:
    """The data's own sampling.

    Attributes
    ----------
    n_channels : int
        Channels of one band.
    chan_width_hz, freq_hz, interval_s : float
        Width of a channel, lowest frequency, length of a time slot.
    """

    n_channels: int
    chan_width_hz: float
    freq_hz: float
    interval_s: float


def choose_averaging(sampling: Sampling, offset_deg: float, beam_deg: float, limit: float) -> Averaging:
    """The largest averaging in frequency, and in time, that costs no more than the limit each.

    The data's own sampling is kept where it already loses more.

    Parameters
    ----------
    sampling : Sampling
        The data as they are.
    offset_deg : float
        Distance of the farthest source from the phase centre.
    beam_deg : float
        Full width at half maximum of the synthesised beam.
    limit : float
        Largest loss of a source's peak to either.
    """

    def in_frequency(step: int) -> float:
        return bandwidth_smearing(step * sampling.chan_width_hz, sampling.freq_hz, offset_deg, beam_deg)

    def in_time(step: int) -> float:
        return time_smearing(step * sampling.interval_s, offset_deg, beam_deg)

    timesteps = range(1, int(LONGEST_S // sampling.interval_s) + 1)
    return Averaging(
        freqstep=max((n for n in _divisors(sampling.n_channels) if in_frequency(n) <= limit), default=1),
        timestep=max((n for n in timesteps if in_time(n) <= limit), default=1),
    )
