"""Solution intervals from the flux of a calibrator, as the documentation of facetselfcal gives them."""

from __future__ import annotations

import pytest

from factor.tuning.intervals import (
    effective_flux_jy,
    fast_interval_slots,
    slow_interval_slots,
    slow_min_uv_lambda,
    tec_block_edges_hz,
    tec_blocks,
)


def test_effective_flux() -> None:
    """S_peak (S_tot / S_peak)^(2/3): all of a point, less than all of a resolved source."""
    assert effective_flux_jy(2.0, 2.0) == pytest.approx(2.0)
    assert effective_flux_jy(1.0, 8.0) == pytest.approx(4.0)
    assert effective_flux_jy(2.0, 1.9) == pytest.approx(2.0)
    assert effective_flux_jy(0.0, 1.0) == 0.0


@pytest.mark.parametrize(
    ("flux_jy", "n_bands", "seconds"),
    [(1.4, 4, 16), (2.8, 4, 4), (0.3, 4, 16), (1.4, 16, 4), (0.7, 16, 16), (50.0, 4, 4)],
)
def test_fast_interval(flux_jy: float, n_bands: int, seconds: float) -> None:
    """16 s x (S_ref / S)^2 with S_ref = 1.4 Jy (4 / bands)^0.5, 16 s at most, a slot at least."""
    assert fast_interval_slots(flux_jy, n_bands, 4.0) == seconds / 4


def test_no_more_slots_than_fit() -> None:
    """13.2 s are one slot of 8 s: two would be longer than the interval."""
    assert fast_interval_slots(1.54, 4, 8.0) == 1
    assert fast_interval_slots(1.0, 4, 8.011) == 1
    assert fast_interval_slots(1.0, 4, 8.0) == 2


def test_slots_longer_than_the_interval() -> None:
    """Averaged data: one slot is the least that can be solved for."""
    assert fast_interval_slots(0.1, 4, 30.0) == 1


@pytest.mark.parametrize(
    ("flux_jy", "wanted_s"), [(0.1, 1200), (1.4, 1200), (2.8, 300), (1.4 * 2**0.5, 600), (30.0, 240)]
)
def test_slow_interval(flux_jy: float, wanted_s: float) -> None:
    """1200 s x (1.4 Jy / S)^2 within 240-1200 s, where the chunk is a multiple of it."""
    assert slow_interval_slots(flux_jy, 4.0, 1200) == wanted_s / 4


@pytest.mark.parametrize("n_slots", [7, 100, 151, 300, 307, 449, 451, 613])
@pytest.mark.parametrize("flux_jy", [0.1, 1.0, 1.9, 3.0, 20.0])
def test_the_last_interval_is_not_short(n_slots: int, flux_jy: float) -> None:
    """A short last interval has noisy gains that would spoil the end of each chunk."""
    interval = slow_interval_slots(flux_jy, 4.0, n_slots)
    pieces = -(-n_slots // interval)
    last = n_slots - (pieces - 1) * interval
    assert interval - last < pieces
    assert 1 <= interval <= n_slots
    # Stretched or shortened by no more than it takes.
    assert pieces == 1 or 160 <= interval * 4.0 <= 1810


def test_blocks_of_tec_are_equal_and_no_wider_than_asked() -> None:
    """A narrow last block would have a TEC of its own that it cannot determine."""
    edges = tec_block_edges_hz(120e6, 144e6, 10e6)
    assert edges == pytest.approx((120e6, 128e6, 136e6, 144e6))
    assert tec_block_edges_hz(120e6, 140e6, 10e6) == pytest.approx((120e6, 130e6, 140e6))
    assert tec_block_edges_hz(120e6, 128e6, 10e6) == (120e6, 128e6)


@pytest.mark.parametrize(
    ("freqs", "blocks"),
    [
        ((1, 2, 11, 12, 21, 22), ((0, 2), (2, 2), (4, 2))),
        ((1, 2, 21, 22), ((0, 2), (2, 2))),
        ((1, 2, 11, 21, 22), ((0, 3), (3, 2))),
        ((1, 11, 12, 21, 22), ((0, 3), (3, 2))),
        ((5,), ((0, 1),)),
    ],
)
def test_every_channel_is_in_one_block(
    freqs: tuple[float, ...], blocks: tuple[tuple[int, int], ...]
) -> None:
    """Also where bands are missing; a block with one channel joins its neighbour."""
    assert tec_blocks(freqs, (0.0, 10.0, 20.0, 30.0)) == blocks


def test_few_remote_stations_do_not_carry_the_slow_gains() -> None:
    """A core alone, or nearly, has no long baselines to solve on."""
    core, remote = [f"CS{k:03}HBA0" for k in range(1, 20)], [f"RS{k}HBA" for k in (106, 205, 305, 306)]
    assert slow_min_uv_lambda(core, 0.01) == 0.0
    assert slow_min_uv_lambda([*core, *remote, "DE601HBA"], 0.01) == 0.0
    assert slow_min_uv_lambda([*core, *remote, "RS503HBA"], 0.01) == 1700.0
    assert slow_min_uv_lambda([*core, *remote, "RS503HBA"], 0.07) == 0.0
