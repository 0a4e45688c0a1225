"""Joining solutions over chunks and nights, donor and own phases, and referring them to a station."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.products.solutions.merging import combine, concatenate_times, refine, sample, sum_phases
from factor.products.solutions.referencing import choose_reference, rereference
from factor.products.solutions.soltabs import AMPLITUDE, PHASE, TEC, Array, Frame, Soltab, read_soltabs, wrap

ANTS = ("RS305HBA", "CS001HBA0", "CS002HBA0", "RS106HBA")
START = 5e9


def phases(values: Array, start: float = START, step: float = 16.0, ants: tuple[str, ...] = ANTS) -> Soltab:
    """Scalar phases of (time, freq, ant) values."""
    n_time, n_freq = values.shape[:2]
    times, freqs = start + step * (np.arange(n_time) + 0.5), 120e6 + 2e6 * np.arange(n_freq)
    return Soltab(PHASE, times, freqs, ants, None, values, np.ones_like(values))


def random_phases(seed: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, shape)


def differences(soltab: Soltab, one: str, other: str) -> Array:
    """Phases between two stations."""
    a, b = soltab.ants.index(one), soltab.ants.index(other)
    return np.exp(1j * (soltab.values[:, :, a] - soltab.values[:, :, b]))  # type: ignore[return-value]


def test_joined_times_are_sorted_and_unique() -> None:
    """Rule 9: DP3 looks up the nearest time, so the axis must be in order."""
    early, late = phases(random_phases(1, (5, 4, 4))), phases(random_phases(2, (5, 4, 4)), START + 80.0)
    joined = concatenate_times([late, early, early])
    assert np.all(np.diff(joined.times) > 0)
    assert len(joined.times) == 10
    for part, where in ((early, slice(0, 5)), (late, slice(5, 10))):
        for ant in ANTS:
            expected = differences(part, ant, "CS001HBA0")
            assert np.allclose(differences(joined, ant, "CS001HBA0")[where], expected)


def test_no_cell_is_made_in_a_gap() -> None:
    """Rule 9: times between nights stay empty."""
    nights = [phases(np.zeros((5, 4, 4))), phases(np.zeros((5, 4, 4)), START + 86400.0)]
    joined = concatenate_times(nights, nights=[0, 1])
    assert len(joined.times) == 10
    assert joined.times[5] - joined.times[4] > 86000.0


def test_stations_are_the_union() -> None:
    """Rule 9: a station that was missing in one night is flagged there, not dropped."""
    first = phases(np.zeros((3, 2, 3)), ants=ANTS[:3])
    second = phases(np.zeros((3, 2, 3)), START + 86400.0, ants=ANTS[1:])
    joined = concatenate_times([first, second], nights=[0, 1])
    assert joined.ants == ANTS
    assert np.all(joined.weights[:3, :, 3] == 0)
    assert np.all(joined.weights[3:, :, 0] == 0)
    assert np.all(joined.weights[:3, :, :3] == 1)


def test_frequencies_are_merged() -> None:
    """Bands that only one night (or one run) has are kept, flagged in the others."""
    low = phases(np.zeros((3, 2, 4)))
    high = replace(phases(np.ones((3, 2, 4))), freqs=np.array([122e6, 124e6]))
    joined = concatenate_times([low, replace(high, times=high.times + 48.0)])
    assert list(joined.freqs) == [120e6, 122e6, 124e6]
    assert np.all(joined.weights[:3, 2] == 0)
    assert np.all(joined.weights[3:, 0] == 0)
    side_by_side = concatenate_times([low, replace(high, freqs=np.array([124e6, 126e6]))])
    assert side_by_side.shape == (3, 4, 4)
    assert side_by_side.weights.min() == 1


def test_the_reference_is_one_station_in_every_night() -> None:
    """Rule 9: one station that every night has, if there is one."""
    parts = [phases(random_phases(i, (5, 2, 4)), START + i * 86400.0) for i in range(3)]
    parts[1].weights[:, :, 1] = 0.0
    joined = concatenate_times(parts, nights=[0, 1, 2])
    assert np.abs(joined.values[:, :, 2]).max() < 1e-9
    assert np.allclose(
        differences(joined, "RS305HBA", "RS106HBA")[5:10], differences(parts[1], "RS305HBA", "RS106HBA")
    )


def test_a_night_without_the_reference_has_its_own() -> None:
    """Rule 9: where no station is in all nights, each night is referred to one that it has."""
    parts = [phases(random_phases(i, (5, 2, 4)), START + i * 86400.0) for i in range(2)]
    parts[0].weights[:, :, [0, 2]] = 0.0
    parts[1].weights[:, :, [1, 3]] = 0.0
    joined = concatenate_times(parts, nights=[0, 1])
    assert np.abs(joined.values[:5, :, 1]).max() < 1e-9
    assert np.abs(joined.values[5:, :, 2]).max() < 1e-9


def test_a_flagged_slot_of_the_reference_makes_no_jump() -> None:
    """Where the reference is flagged the others must go on as before, or plots and smoothing jump."""
    level = np.array([0.4, 0.0, 1.0, -2.0])
    values = np.broadcast_to(level, (9, 2, 4)) + random_phases(3, (9, 2, 1))
    table = phases(wrap(values))
    table.weights[4, :, 1] = 0.0
    result = rereference(table, "CS001HBA0")
    others = [0, 2, 3]
    assert np.allclose(result.values[:, :, others], level[others])


def test_the_reference_is_chosen_by_its_data() -> None:
    """A core station with solutions, the preferred one when it has as many."""
    table = phases(np.zeros((5, 2, 4)))
    assert choose_reference(table) == "CS001HBA0"
    assert choose_reference(table, "RS106HBA") == "RS106HBA"
    table.weights[:, :, 1] = 0.0
    table.weights[:, :, 3] = 0.0
    assert choose_reference(table, "RS106HBA") == "CS002HBA0"


def test_the_last_interval_gets_its_true_middle() -> None:
    """DP3 centres a short last interval beyond the end: into the next chunk's first."""
    part = phases(np.zeros((3, 1, 4)), step=30.0)
    joined = concatenate_times([part], spans=[(START, START + 70.0)])
    assert joined.times[-1] == pytest.approx(START + 65.0)
    one = phases(np.zeros((1, 1, 4)), step=100.0)
    assert concatenate_times([one], spans=[(START, START + 70.0)]).times[0] == pytest.approx(START + 35.0)


@pytest.mark.parametrize(("own_step", "donor_step"), [(16.0, 16.0), (16.0, 8.0), (8.0, 16.0), (16.0, 24.0)])
def test_the_total_phase_is_what_was_applied(own_step: float, donor_step: float) -> None:
    """Solved on data corrected with the donor: in every slot the total is the sum of both."""
    own = phases(random_phases(4, (round(240 / own_step), 4, 4)), step=own_step)
    donor = phases(random_phases(5, (round(240 / donor_step), 2, 4)), step=donor_step)
    slots = START + 8.0 * (np.arange(30) + 0.5)
    total = sample(sum_phases(own, donor), slots, own.freqs)
    expected = sample(own, slots, own.freqs).values + sample(donor, slots, own.freqs).values
    assert np.allclose(np.exp(1j * total.values), np.exp(1j * expected))


def test_the_total_phase_does_not_explode() -> None:
    """Steps without a useful common divisor must not be cut into a thousand pieces."""
    own = phases(random_phases(4, (10, 2, 4)), step=77.0)
    total = sum_phases(own, phases(random_phases(5, (8, 2, 4)), step=96.0))
    assert len(total.times) == 10


def test_the_total_phase_after_a_short_last_interval() -> None:
    """Cells that do not follow evenly are summed slot by slot."""
    chunks = [(START, START + 136.0), (START + 136.0, START + 272.0)]

    def solve(seed: int, step: float) -> Soltab:
        n = int(np.ceil(136.0 / step))
        parts = [phases(random_phases(seed + i, (n, 2, 4)), a, step) for i, (a, _) in enumerate(chunks)]
        return concatenate_times(parts, spans=chunks)

    own, donor = solve(10, 16.0), solve(20, 16.0)
    slots = START + 8.0 * (np.arange(34) + 0.5)
    total = sample(sum_phases(own, donor, slot_s=8.0), slots, own.freqs)
    expected = sample(own, slots, own.freqs).values + sample(donor, slots, own.freqs).values
    assert np.allclose(np.exp(1j * total.values), np.exp(1j * expected))


def test_flags_of_the_total_are_the_own_ones() -> None:
    """The donor's flagged phases had been filled before they were applied."""
    own, donor = phases(np.zeros((5, 2, 4))), phases(np.full((5, 2, 3), 0.5), ants=ANTS[:3])
    donor.values[2, 1, 0] = np.nan
    own.weights[3, 0, 2] = 0.0
    total = sum_phases(own, donor)
    assert total.values[2, 1, 0] == pytest.approx(0.5)
    assert np.array_equal(total.weights, own.weights)
    assert np.all(total.values[:, :, 3] == 0.0)


def test_refined_gains_pass_through_the_cells() -> None:
    """Between two cells gains change steadily, across a gap not at all."""
    times = START + np.array([300.0, 900.0, 1500.0, 9300.0])
    values = np.ones((4, 1, 4, 2)) * np.array([1.0, 1.2, 1.0, 2.0])[:, None, None, None]
    table = Soltab(AMPLITUDE, times, np.array([120e6]), ANTS, ("XX", "YY"), values, np.ones_like(values))
    fine = refine(table)
    assert np.all(np.diff(fine.times) > 0)
    night = fine.values[fine.times < START + 2000.0][:, 0, 0, 0]
    assert np.abs(np.diff(night)).max() < 0.04
    assert night.max() > 1.17
    assert np.all(fine.values[fine.times > START + 2000.0] == 2.0)
    assert not np.any((fine.times > START + 1800.0) & (fine.times < START + 9000.0))


def test_nights_of_one_interval_stay_apart() -> None:
    """Rule 9: with one solution a night only the length of the data tells what a cell covers."""
    parts, spans = [], []
    for night, level in enumerate((1.0, 2.0, 3.0)):
        start = START + 86400.0 * night
        values = np.full((1, 1, 4, 2), level)
        times = np.array([start + 600.0])
        parts.append(Soltab(AMPLITUDE, times, np.array([120e6]), ANTS, ("XX", "YY"), values, values))
        spans.append((start, start + 900.0))
    joined = concatenate_times(parts, spans, nights=[0, 1, 2])
    assert joined.step_s == 900.0
    assert len(joined.parts) == 3
    fine = refine(joined)
    covered = (fine.times - START) % 86400.0
    assert covered.max() < 900.0
    assert set(np.unique(fine.values)) == {1.0, 2.0, 3.0}
    assert np.array_equal(np.unique(joined.times), joined.times)


def test_refined_phases_take_the_short_way() -> None:
    """From 179 to -179 degrees is two degrees, not 358."""
    values = np.radians(np.array([179.0, -179.0]))[:, None, None] * np.ones((2, 1, 4))
    fine = refine(phases(values, step=600.0))
    assert np.degrees(np.abs(fine.values)).min() > 178.9


def test_combined_file_holds_what_is_applied(tmp_path: Path) -> None:
    """The soltabs that the operations apply, by the names they use."""
    fast = phases(random_phases(6, (10, 4, 4)))
    gain = np.ones((2, 4, 4, 2))
    slow = Soltab(AMPLITUDE, START + np.array([40.0, 120.0]), fast.freqs, ANTS, ("XX", "YY"), gain, gain)
    turned = replace(slow, kind=PHASE, values=0.1 * gain)
    path = tmp_path / "combined_solutions.h5"
    names = combine(path, Frame("facet_1", 10.0, 50.0), fast, {PHASE: turned, AMPLITUDE: slow})
    assert names == ("phase000", "phase001", "amplitude000")
    read = read_soltabs(path)
    assert read["phase000"].pols is None
    assert read["phase001"].pols == ("XX", "YY")
    assert read["amplitude000"].kind == AMPLITUDE
    assert combine(tmp_path / "fast.h5", Frame("facet_1", 10.0, 50.0), fast) == ("phase000",)


def test_parts_of_different_kinds_are_refused() -> None:
    """Phases and amplitudes in one soltab would be nonsense."""
    one = phases(np.zeros((2, 2, 4)))
    with pytest.raises(ValueError, match="kinds"):
        concatenate_times([one, replace(one, kind=AMPLITUDE)])
    with pytest.raises(ValueError, match="no solutions"):
        concatenate_times([])


def test_the_total_tec_is_a_sum_that_is_not_wrapped() -> None:
    """A TEC over the whole band adds to that of each of the donor's blocks, as numbers."""
    own = replace(phases(np.full((4, 1, 4), 3.0)), kind=TEC)
    donor = replace(phases(np.full((4, 3, 4), 2.0)), kind=TEC)
    own = replace(own, freqs=donor.freqs[1:2])
    total = sum_phases(own, donor)
    assert total.shape == (4, 3, 4)
    np.testing.assert_allclose(total.values, 5.0)
