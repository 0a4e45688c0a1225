"""Where the observation is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from factor.errors import InputError
from factor.observation.bands import MsInfo
from factor.observation.checks import check_input
from factor.observation.plan import ChunkPlan, plan_chunks

Make = Callable[..., MsInfo]


@pytest.fixture
def plan(settings: SimpleNamespace) -> Callable[[list[MsInfo]], tuple[ChunkPlan, ...]]:
    return lambda infos: plan_chunks(check_input(infos, settings).bands, 1200.0)


Plan = Callable[[list[MsInfo]], tuple[ChunkPlan, ...]]


@pytest.mark.parametrize(
    ("length_s", "slots"),
    [
        (800, [100]),
        (2400, [300]),
        (2408, [150, 151]),
        (3592, [150, 299]),
        (3600, [150, 150, 150]),
        (4000, [150, 150, 200]),
    ],
)
def test_lengths(make_info: Make, plan: Plan, length_s: int, slots: list[int]) -> None:
    """Longer than twice the chunk size: int(length / size) pieces, the last takes the rest."""
    chunks = plan([make_info(length_s=length_s)])
    assert [chunk.n_slots for chunk in chunks] == slots
    assert [chunk.index for chunk in chunks] == list(range(len(slots)))
    for before, after in pairwise(chunks):
        assert after.start_mjd_s == pytest.approx(before.end_mjd_s)
    assert chunks[-1].end_mjd_s - chunks[0].start_mjd_s == pytest.approx(length_s)


def test_same_index_same_times(make_info: Make, plan: Plan) -> None:
    """A band that begins later is cut at the same times: one index, one time, in every band."""
    chunks = plan(
        [make_info("a.ms", 140e6), make_info("b.ms", 150e6, start_s=160, length_s=3600 - 160)]
    )
    assert [[file.band.name for file in chunk.files] for chunk in chunks] == [
        ["Band_140.0MHz", "Band_150.0MHz"]
    ] * 3
    assert [chunk.n_slots for chunk in chunks] == [150, 150, 150]


def test_nights(make_info: Make, plan: Plan) -> None:
    """Indices go on over the nights; a night with fewer bands has chunks without them."""
    chunks = plan(
        [
            make_info("a1.ms", 140e6),
            make_info("b1.ms", 150e6),
            make_info("a2.ms", 140e6, start_s=86400),
        ]
    )
    assert [(chunk.index, chunk.night, len(chunk.files)) for chunk in chunks] == [
        (0, 0, 2), (1, 0, 2), (2, 0, 2), (3, 1, 1), (4, 1, 1), (5, 1, 1),
    ]


def test_interleaved_files(make_info: Make, plan: Plan) -> None:
    """Files between which another field was observed are chunks of one night."""
    infos = [
        make_info(f"{band}{k}.ms", freq, start_s=900 * k, length_s=600)
        for k in range(3)
        for band, freq in (("a", 140e6), ("b", 150e6))
    ]
    chunks = plan(infos)
    assert [(chunk.index, chunk.night, chunk.n_slots) for chunk in chunks] == [
        (0, 0, 75), (1, 0, 75), (2, 0, 75),
    ]
    assert [[file.ms_stem for file in chunk.files] for chunk in chunks] == [
        ["a0", "b0"], ["a1", "b1"], ["a2", "b2"],
    ]


def test_alternating_slots(make_info: Make, plan: Plan) -> None:
    """Two files of one band whose slots alternate fill one chunk together."""
    even = make_info("even.ms", length_s=800)
    odd = replace(make_info("odd.ms"), times_mjd_s=even.times_mjd_s[1::2])
    chunks = plan([replace(even, times_mjd_s=even.times_mjd_s[::2]), odd])
    assert len(chunks) == 1
    assert [info.path.name for info in chunks[0].files[0].sources] == ["even.ms", "odd.ms"]
    assert chunks[0].n_slots == 100


def test_gap_inside_a_file(make_info: Make, plan: Plan) -> None:
    """A file that was joined over nights is not filled with flagged slots for the day between."""
    info = make_info(length_s=1600)
    later = tuple(time + 86400 for time in info.times_mjd_s)
    chunks = plan([replace(info, times_mjd_s=info.times_mjd_s + later)])
    assert [(chunk.night, chunk.n_slots) for chunk in chunks] == [(0, 200), (1, 200)]
    short = info.times_mjd_s[:50] + info.times_mjd_s[60:]
    assert [chunk.n_slots for chunk in plan([replace(info, times_mjd_s=short)])] == [200]


def test_other_grid(make_info: Make, plan: Plan) -> None:
    """Bands whose slots lie between each other's can't be read together."""
    with pytest.raises(InputError, match=r"b\.ms: its time slots are 3\.00 s off"):
        plan([make_info("a.ms", 140e6), make_info("b.ms", 150e6, start_s=3)])


def test_chunks_of_an_earlier_run(make_info: Make, plan: Plan) -> None:
    """An earlier run's chunks are not cut or joined again, and keep their names."""
    infos = [
        make_info(f"f_chunk{k}.ms", start_s=1200 * k, length_s=1200, chunk={"skymodel": "x"},
                  columns=("UVW", "FLAG", "WEIGHT_SPECTRUM", "DATA"))
        for k in range(3)
    ]
    chunks = plan(infos)
    assert [(chunk.index, chunk.files[0].ms_stem, chunk.n_slots) for chunk in chunks] == [
        (0, "f", 150), (1, "f", 150), (2, "f", 150),
    ]
