"""Solutions as DP3 reads them: what it applies and predicts is what the soltabs say."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.errors import FactorError
from factor.products.preaverage import average_baselines
from factor.products.solutions.combining import Piece, add_slow, combine_final, merge_fast
from factor.products.solutions.filling import fill
from factor.products.solutions.health import check_solutions
from factor.products.solutions.merging import combine, sample
from factor.products.solutions.soltabs import (
    AMPLITUDE,
    LEAKAGE,
    LEAKAGE_PARTS,
    PHASE,
    Array,
    Frame,
    Soltab,
    read_soltabs,
    write_h5parm,
)
from factor.products.solutions.tec import PHASE_PER_TECU
from factor.products.solutions.weeding import weed
from factor.tools.dp3 import (
    ApplyCal,
    ChannelRange,
    DDECal,
    DP3Run,
    DP3Step,
    H5ParmPredict,
    Predict,
    dp3_command,
)
from factor.tools.environment import find_tools, prepare
from factor.tools.runner import run

sys.path.insert(0, str(Path(__file__).parents[3] / "examples"))

from simulation import measurementset as msets
from simulation.geometry import Sky, choose_stations

pytestmark = pytest.mark.tools

INTERVAL_S = 8.0
N_SLOTS = 45
FREQS = 144e6 + 0.25e6 * np.arange(8)
NAME = "facet_1"
RA_DEG, DEC_DEG = 217.5, 52.0
SKY = (
    "FORMAT = Name, Type, Patch, Ra, Dec, I, SpectralIndex='[]', LogarithmicSI, ReferenceFrequency='144e6'\n"
    f", , {NAME}, 14:30:00.0, 52.10.00.0\n"
    f"s1, POINT, {NAME}, 14:30:00.0, 52.10.00.0, 2.0, [-0.7], true, 144e6\n"
)


class Field:
    """One small measurement set with a predicted source, and solutions for it."""

    def __init__(self, root: Path) -> None:
        prepare()
        self.root = root
        self.tools = find_tools()
        stations = choose_stations(6, 30.0)
        sky = Sky(stations[0].position, *np.radians([RA_DEG, DEC_DEG]))
        times = np.round(sky.time_of_hour_angle(0.0)) + INTERVAL_S * np.arange(N_SLOTS)
        uvw = sky.station_uvw(times, np.array([s.position for s in stations]))
        where = np.radians([RA_DEG, DEC_DEG])
        observed = msets.Observed(tuple(stations), *where, "test", times, INTERVAL_S, uvw)
        self.times, self.ants = times, tuple(s.name for s in stations)
        self.first, self.second = observed.pairs
        flags = np.zeros((N_SLOTS * observed.n_baselines, len(FREQS)), dtype=bool)
        msets.make_ms(root / "empty.ms", observed, FREQS, flags)
        self.skymodel = root / "sky.skymodel"
        self.skymodel.write_text(SKY)
        self.frame = Frame(NAME, RA_DEG, DEC_DEG, {s.name: tuple(s.position) for s in stations})
        self.model = self.dp3("empty.ms", Predict(self.skymodel, "replace"), "model.ms")

    def solve(self, msin: str, *steps: DP3Step, h5parm: Path) -> None:
        """Run a solve."""
        task = DP3Run((self.root / msin,), "DATA", steps, None, (h5parm,))
        result = run(dp3_command(self.tools, task), self.root / "log", self.root / "log")
        assert not result.error, result.error

    def dp3(self, msin: str, step: Predict | ApplyCal | H5ParmPredict, msout: str) -> tuple[Array, Array]:
        """DATA and FLAG of a run, (slot, baseline, channel, correlation)."""
        from casacore.tables import table

        task = DP3Run((self.root / msin,), "DATA", (step,), self.root / msout)
        result = run(dp3_command(self.tools, task), self.root / "log", self.root / "log")
        assert not result.error, result.error
        shape = (N_SLOTS, -1, len(FREQS), 4)
        with table(str(self.root / msout), ack=False) as ms:
            return ms.getcol("DATA").reshape(shape), ms.getcol("FLAG").reshape(shape)

    def solutions(self) -> dict[str, Soltab]:
        """Random solutions with flags, on axes and stations of their own order, by role."""
        rng = np.random.default_rng(0)
        start, ants = self.times[0] - INTERVAL_S / 2, self.ants[::-1]
        fast = Soltab(
            PHASE,
            start + 2 * INTERVAL_S * (np.arange(23) + 0.5),
            FREQS[::2] + 0.125e6,
            ants,
            None,
            rng.uniform(-3, 3, (23, 4, 6)),
            np.ones((23, 4, 6)),
        )
        fast.weights[3, :, 2] = 0.0
        fast.values[5, 2, 4] = np.nan
        shape = (3, 2, 6, 2)
        times, freqs = start + 120.0 * (np.arange(3) + 0.5), np.array([FREQS[:4].mean(), FREQS[4:].mean()])
        pols = ("XX", "YY")
        gain = Soltab(AMPLITUDE, times, freqs, ants, pols, rng.uniform(0.5, 2, shape), np.ones(shape))
        turn = replace(gain, kind=PHASE, values=rng.uniform(-3, 3, shape))
        return {"fast": fast, AMPLITUDE: gain, PHASE: turn}

    def expected(self, soltabs: dict[str, Soltab]) -> tuple[Array, Array]:
        """The model corrupted by nearest solutions, and where one of them is flagged."""
        gain = np.ones((N_SLOTS, len(FREQS), 6, 2), dtype=complex)
        bad = np.zeros(gain.shape, dtype=bool)
        for soltab in soltabs.values():
            near = sample(soltab, self.times, FREQS)
            order = [near.ants.index(ant) for ant in self.ants]
            values, flagged = near.values[:, :, order], ~near.good[:, :, order]
            factor = values if soltab.kind == AMPLITUDE else np.exp(1j * values)
            gain *= factor if soltab.pols else factor[..., None]
            bad |= flagged if soltab.pols else flagged[..., None]
        p, q = gain[:, :, self.first].transpose(0, 2, 1, 3), gain[:, :, self.second].transpose(0, 2, 1, 3)
        jones = (p[..., :, None] * q[..., None, :].conj()).reshape(*p.shape[:3], 4)
        flags = (bad[:, :, self.first] | bad[:, :, self.second]).any(axis=-1).transpose(0, 2, 1)
        return self.model[0] * jones, np.repeat(flags[..., None], 4, axis=-1)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """A measurement set of 6 stations, 6 minutes and 8 channels."""
    return Field(tmp_path_factory.mktemp("dp3"))


def test_dp3_applies_what_the_file_says(field: Field) -> None:
    """Rules 3 and 4: filled solutions flag nothing, flagged ones what they flag; both are exact."""
    made = field.solutions()
    path = field.root / "combined_solutions.h5"
    names = combine(path, field.frame, made["fast"], {k: made[k] for k in (PHASE, AMPLITUDE)})
    soltabs = read_soltabs(path)
    filled = {name: fill(soltab) for name, soltab in soltabs.items()}
    write_h5parm(field.root / "filled.h5", filled, field.frame)

    predict = H5ParmPredict(field.skymodel, "replace", field.root / "filled.h5", names, NAME)
    data, flags = field.dp3("empty.ms", predict, "corrupted.ms")
    expected, _ = field.expected(filled)
    assert not flags.any()
    assert np.abs(data - expected).max() < 1e-5 * np.abs(expected).max()

    data, flags = field.dp3("corrupted.ms", ApplyCal(path, names), "corrected.ms")
    assert np.array_equal(flags, field.expected(soltabs)[1])
    assert np.abs(data - field.model[0])[~flags].max() < 1e-5 * np.abs(field.model[0]).max()


def test_dp3_takes_the_nearest_solution(field: Field) -> None:
    """In time and frequency, and across a gap too: nothing is interpolated behind our back."""
    fast = field.solutions()["fast"]
    sparse = replace(
        fill(fast),
        times=fast.times[[0, 1, 20]],
        values=fill(fast).values[[0, 1, 20]],
        weights=np.ones((3, 4, 6)),
    )
    write_h5parm(field.root / "sparse.h5", {"phase000": sparse}, field.frame)
    predict = H5ParmPredict(field.skymodel, "replace", field.root / "sparse.h5", ("phase000",), NAME)
    data, _ = field.dp3("empty.ms", predict, "sparse.ms")
    expected, _ = field.expected({"phase000": sparse})
    assert np.abs(data - expected).max() < 1e-5 * np.abs(expected).max()


def _ionosphere(field: Field, phase_at_hz: float) -> Soltab:
    """Phases of stations under a slowly varying TEC, and of their clocks at one frequency."""
    minutes = (field.times - field.times[0]) / 60.0
    k = np.arange(len(field.ants))
    tec = 0.02 * k * np.sin(0.5 * minutes[:, None] + k)
    clock = 0.2 * np.sign(phase_at_hz - FREQS)[:, None] * (k > 3)
    values = PHASE_PER_TECU * tec[:, None] / FREQS[:, None] + clock
    return Soltab(PHASE, field.times, FREQS, field.ants, None, values, np.ones(values.shape))


def test_tec_of_two_blocks_corrects_as_phases(field: Field) -> None:
    """TEC and phase of each block, on one axis, take out what DP3 put in; the TEC is kept."""
    true = _ionosphere(field, FREQS[4] - 1.0)
    write_h5parm(field.root / "true.h5", {"phase000": true}, field.frame)
    predict = H5ParmPredict(field.skymodel, "replace", field.root / "true.h5", ("phase000",), NAME)
    field.dp3("empty.ms", predict, "ionosphere.ms")
    pieces = []
    start, end = field.times[0] - INTERVAL_S / 2, field.times[-1] + INTERVAL_S / 2
    for block in range(2):
        h5parm = field.root / f"block{block}.h5"
        ddecal = DDECal(
            h5parm, field.skymodel, "tecandphase", (NAME,), 1, 1, 0.0, 0.0, 75, 1e-4, 0.2, True,
            "directioniterative", approximatetec=True, maxapproxiter=50,
        )  # fmt: skip
        field.solve("ionosphere.ms", ChannelRange(4 * block, 4), ddecal, h5parm=h5parm)
        channels = FREQS[4 * block : 4 * block + 4]
        pieces.append(Piece(h5parm, start, end, 0, tuple(channels)))
    merge_fast(pieces, NAME, (RA_DEG, DEC_DEG), field.root / "tec.h5")
    combine_final(
        field.root / "tec.h5", None, INTERVAL_S, 1.0, field.root / "final.h5", field.root / "final_filled.h5"
    )
    soltabs = read_soltabs(field.root / "final.h5")
    assert soltabs["tec000"].shape == (N_SLOTS, 2, 6)
    data, flags = field.dp3("ionosphere.ms", ApplyCal(field.root / "final.h5", ("phase000",)), "tec.ms")
    assert not flags.any()
    error = np.angle(data[..., 0] / field.model[0][..., 0])
    assert np.sqrt(np.mean(error**2)) < 0.03


ALL_SOLTABS = ("phase000", "leakage", "phase001", "amplitude000")


def _leaky(field: Field) -> dict[str, Soltab]:
    """Fast phases, and gains with 5 % of leakage that change little, as a file of solutions has them."""
    made = field.solutions()
    rng = np.random.default_rng(7)
    gain = made[AMPLITUDE]

    def steady(scale: float, *shape: int) -> Array:
        return scale * (rng.normal(size=(1, 1, *shape)) + 0.01 * rng.normal(size=(3, 2, *shape)))

    leakage = steady(0.05, 6, 4)
    return {
        "phase000": fill(made["fast"]),
        "leakage": replace(
            gain, kind=LEAKAGE, pols=LEAKAGE_PARTS, values=leakage, weights=np.ones_like(leakage)
        ),
        "phase001": replace(gain, kind=PHASE, values=steady(0.5, 6, 2)),
        "amplitude000": replace(gain, values=np.exp(steady(0.1, 6, 2))),
    }


def _polarised(data: Array) -> float:
    """Root of the mean power in the off-diagonal correlations over that in the others."""
    power = (np.abs(data) ** 2).mean(axis=(0, 1, 2))
    return float(np.sqrt((power[1] + power[2]) / (power[0] + power[3])))


def test_leakage_is_solved_removed_and_predicted(field: Field) -> None:
    """All correlations: 5 % of leakage, also behind phases that were applied before."""
    true = _leaky(field)
    write_h5parm(field.root / "leaky.h5", true, field.frame)
    predict = H5ParmPredict(field.skymodel, "replace", field.root / "leaky.h5", ALL_SOLTABS, NAME)
    leaky, _ = field.dp3("empty.ms", predict, "leaky.ms")
    assert _polarised(leaky) > 0.05
    data, flags = field.dp3("leaky.ms", ApplyCal(field.root / "leaky.h5", ALL_SOLTABS), "unleaked.ms")
    assert not flags.any()
    assert np.abs(data - field.model[0]).max() < 1e-5 * np.abs(field.model[0]).max()

    true["leakage"].weights[1, 0, 2, 3] = 0.0
    write_h5parm(field.root / "flagged.h5", true, field.frame)
    _, flags = field.dp3("leaky.ms", ApplyCal(field.root / "flagged.h5", ALL_SOLTABS), "unleaked.ms")
    bad = (field.first == field.ants[::-1].index(field.ants[2])) | (field.second == 3)
    np.testing.assert_array_equal(flags.any(axis=(0, 2, 3)), bad)
    assert flags[:, bad, :4].mean() == pytest.approx(1 / 3, abs=0.03)
    assert not flags[:, :, 4:].any()

    donor = {name: true[name] for name in ("phase000", "phase001")}
    none = {"phase000": replace(true["phase000"], values=0.0 * true["phase000"].values)}
    for name, soltabs in (("donor", donor), ("none", none)):
        write_h5parm(field.root / f"{name}.h5", soltabs, field.frame)
    for fast, before, preapplied in (
        ("donor.h5", ("phase000",), None),
        ("none.h5", ("phase000", "phase001"), field.root / "donor.h5"),
    ):
        solved, slow = field.root / "solved.h5", field.root / "slow.h5"
        ddecal = DDECal(
            solved, field.skymodel, "fulljones", (NAME,), 15, 4, 0.0, 0.0, 30, 1e-3, 0.2, True,
            "directioniterative",
        )  # fmt: skip
        field.solve("leaky.ms", ApplyCal(field.root / "donor.h5", before), ddecal, h5parm=solved)
        piece = Piece(solved, field.times[0] - INTERVAL_S / 2, field.times[-1] + INTERVAL_S / 2, 0)
        add_slow(field.root / fast, [piece], True, Path("unused"), slow, normalise=False)
        final, filled = field.root / "final.h5", field.root / "filled.h5"
        combine_final(slow, preapplied, INTERVAL_S, 1.0, final, filled)
        data, flags = field.dp3("leaky.ms", ApplyCal(final, ALL_SOLTABS), "corrected.ms")
        assert not flags.any()
        assert _polarised(data) < 0.004
        again, _ = field.dp3("empty.ms", replace(predict, parmdb=filled), "again.ms")
        assert np.sqrt(np.mean(np.abs(again - leaky) ** 2) / np.mean(np.abs(leaky) ** 2)) < 0.01


def test_averaging_by_baseline_keeps_grid_flags_and_source(field: Field) -> None:
    """The solver's copy has the rows, flags and mean of the data, with less noise."""
    from casacore.tables import table

    field.dp3("model.ms", Predict(field.skymodel, "replace"), "noisy.ms")
    with table(str(field.root / "noisy.ms"), readonly=False, ack=False) as ms:
        shape = ms.getcol("DATA").shape
        noise = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
        ms.putcol("DATA", 2.0 + noise[0] + 1j * noise[1])
        before = ms.getcol("DATA")
    average_baselines(field.root / "noisy.ms", field.root / "averaged.ms", INTERVAL_S)
    with table(str(field.root / "averaged.ms"), ack=False) as ms:
        after, flags = ms.getcol("DATA"), ms.getcol("FLAG")
    with table(str(field.root / "noisy.ms"), ack=False) as ms:
        np.testing.assert_array_equal(ms.getcol("DATA"), before)
        np.testing.assert_array_equal(ms.getcol("FLAG"), flags)
    assert after.std() < 0.7 * before.std()
    assert abs(after.mean() - before.mean()) < 0.01


def test_flagged_stations_and_data_that_are_no_numbers(
    field: Field, caplog: pytest.LogCaptureFixture
) -> None:
    """A dead station has no solutions; NaNs in the data spoil their own interval and no other.

    A file of which little is left is refused, or only told of when there is no other way to make it.
    """
    from casacore.tables import table

    field.dp3("empty.ms", Predict(field.skymodel, "replace"), "spoilt.ms")
    with table(str(field.root / "spoilt.ms"), readonly=False, ack=False) as ms:
        flags, data, times = ms.getcol("FLAG"), ms.getcol("DATA"), ms.getcol("TIME")
        flags[(ms.getcol("ANTENNA1") == 2) | (ms.getcol("ANTENNA2") == 2)] = True
        slots = np.unique(times)
        data[(times >= slots[10]) & (times < slots[15])] = np.nan
        ms.putcol("FLAG", flags)
        ms.putcol("DATA", data)
    solved = field.root / "spoilt.h5"
    ddecal = DDECal(
        solved, field.skymodel, "scalarphase", (NAME,), 5, 4, 0.0, 0.0, 30, 1e-3, 0.2, True,
        "directioniterative",
    )  # fmt: skip
    field.solve("spoilt.ms", ddecal, h5parm=solved)
    check_solutions(solved)
    good, health = weed(read_soltabs(solved)["phase000"])
    assert health.dead == (field.ants[2],)
    others = np.delete(good.good, 2, axis=2)
    assert not others[2].any()
    assert np.delete(others, 2, axis=0).all()
    good.weights[1:] = 0.0
    write_h5parm(solved, {"phase000": good}, field.frame)
    with pytest.raises(FactorError, match=r"91 % of phase000 are flagged or no numbers"):
        check_solutions(solved)
    check_solutions(solved, last=True)
    assert "91 % of phase000 are flagged or no numbers: they are left out" in caplog.text
    solved.write_bytes(solved.read_bytes()[:5000])
    with pytest.raises(FactorError, match="can't be read as an H5parm"):
        check_solutions(solved, last=True)
