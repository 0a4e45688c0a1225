"""Groups of directions."""

from __future__ import annotations

from factor.directions.groups import group_directions
from factor.directions.model import Direction

LINE = [Direction(f"d{k}", 10.0 + 0.1 * k, 0.0, cal_flux_jy=1.0) for k in range(7)]


def _names(groups: tuple[tuple[Direction, ...], ...]) -> list[list[str]]:
    return [[d.name for d in group] for group in groups]


def test_sizes_and_totals() -> None:
    """Pairs of size and total; 0 takes the rest; a short last group is a group."""
    groups = group_directions(LINE, [(1, 2), (3, 0)], allow_reordering=False)
    assert _names(groups) == [["d0"], ["d1"], ["d2", "d3", "d4"], ["d5", "d6"]]


def test_last_pair_reaches_to_the_end() -> None:
    """No direction is lost when the totals are too small."""
    groups = group_directions(LINE, [(2, 2)], allow_reordering=False)
    assert [d for group in groups for d in group] == LINE


def test_members_are_far_apart() -> None:
    """Each direction is in exactly one group, and members of one do not disturb each other."""
    groups = group_directions(LINE, [(2, 0)])
    assert _names(groups)[0] == ["d0", "d6"]
    assert sorted(n for names in _names(groups) for n in names) == [d.name for d in LINE]


def test_bright_ones_come_before_distant_ones() -> None:
    """The order of brightness is given up only for much distance."""
    directions = [*LINE[:2], Direction("bright", 10.4, 0.0, cal_flux_jy=10.0), LINE[6]]
    assert _names(group_directions(directions, [(2, 0)]))[0] == ["d0", "bright"]
