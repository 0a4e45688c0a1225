"""What data and images take of a disk: rough, and rather too much than too little."""

from __future__ import annotations

from collections.abc import Iterable

from factor.tuning.averaging import Averaging

#: A visibility of one polarisation on disk: its value, weight and flag.
VALUE_BYTES = 8.0 + 4.0 + 0.125
CORRELATIONS = 4
#: Coordinates, times and stations of one row.
ROW_BYTES = 100.0
#: Subtables of a measurement set.
TABLES_BYTES = 5e6

PIXEL_BYTES = 4.0
#: Images of each channel, and of all together, while WSClean works: residual, model, PSF,
#: restored one, and two temporary ones.
IMAGES_PER_CHANNEL = 6


def data_bytes(pieces: Iterable[tuple[int, int]], n_stations: int, how: Averaging) -> float:
    """Size of what is taken out of chunks, all bands joined in one measurement set for each.

    Parameters
    ----------
    pieces : iterable of (int, int)
        Time slots and channels of each chunk.
    n_stations : int
        Stations of the observation.
    how : Averaging
        How far the data are averaged.
    """
    n_baselines = n_stations * (n_stations + 1) / 2
    total = 0.0
    for n_slots, n_channels in pieces:
        rows = n_baselines * n_slots / how.timestep
        total += rows * (n_channels / how.freqstep * CORRELATIONS * VALUE_BYTES + ROW_BYTES) + TABLES_BYTES
    return total


def imaging_bytes(width: int, height: int, channels_out: int) -> float:
    """What WSClean writes while it makes an image."""
    return width * height * PIXEL_BYTES * IMAGES_PER_CHANNEL * (channels_out + 1 if channels_out > 1 else 1)
