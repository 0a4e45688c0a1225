"""The sky model held against the columns of the input, and stations against both, with the real DP3."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.observation.bands import read_metadata
from factor.observation.checks import BandInput
from factor.observation.chunks import make_chunks
from factor.observation.plan import plan_chunks
from factor.observation.subtracted import FULL_COLUMN, wrong_models
from factor.observation.wild import flag_wild
from factor.tools import runner
from factor.tools.dp3 import DP3Run, Predict, dp3_command
from factor.tools.environment import Tools, find_tools
from factor.workspace import Workspace
from tests.fakes.observation import make_observation

# On the path since the fakes are imported.
from simulation import measurementset as msets  # isort: skip

pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools()


@pytest.fixture(scope="module")
def band(tmp_path_factory: pytest.TempPathFactory, tools: Tools) -> BandInput:
    """Data of before, from which a sky model was subtracted by DP3."""
    folder = tmp_path_factory.mktemp("subtracted")
    make_observation(folder / "ms")
    ms = sorted((folder / "ms").glob("*.ms"))[0]
    model = ms.with_suffix(".merge").rename(ms.with_suffix(".skymodel"))
    predicted = folder / "model.ms"
    rest = msets.read_column(ms, "SUBTRACTED_DATA_ALL")
    msets.add_column(ms, FULL_COLUMN, like="SUBTRACTED_DATA_ALL")
    run = DP3Run((ms,), "SUBTRACTED_DATA_ALL", (Predict(model, "replace"),), predicted)
    result = runner.run(dp3_command(tools, run), folder / "out", folder / "err")
    assert not result.error
    msets.write_column(ms, FULL_COLUMN, rest + msets.read_column(predicted, "DATA"))
    info = read_metadata(ms)
    return BandInput("Band", info.freqs_hz, info.chan_width_hz, model, 0.0, (info,))


def test_the_right_model_is_quiet(band: BandInput, tools: Tools, tmp_path: Path) -> None:
    """A user who does everything right hears nothing."""
    commands = tmp_path / "commands.log"
    assert wrong_models([band], tools, 1, commands) == []
    assert f"exit status 0: input {band.files[0].path.name}: predict" in commands.read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace(", 2.0,", ", 6.0,"), " has 0.3"),
        # The brightest source is gone.
        (lambda text: "\n".join(line for line in text.splitlines() if "east" not in line) + "\n", "differs"),
    ],
)
def test_another_model_is_told(
    band: BandInput, tools: Tools, tmp_path: Path, change: Callable[[str], str], told: str
) -> None:
    """Adding back what was not subtracted changes fluxes, and nothing later would show it."""
    other = tmp_path / "other.merge"
    other.write_text(change(band.skymodel.read_text()))
    (warning,) = wrong_models([replace(band, skymodel=other)], tools, 1, tmp_path / "commands.log")
    assert str(other) in warning
    assert str(band.files[0].path) in warning
    assert told in warning


def test_nothing_to_compare_with(band: BandInput, tools: Tools, tmp_path: Path) -> None:
    """Data whose column of before was deleted are good input."""
    info = replace(band.files[0], columns=("SUBTRACTED_DATA_ALL", "FLAG"))
    assert wrong_models([replace(band, files=(info,))], tools, 1, tmp_path / "commands.log") == []


def test_a_mad_station_is_flagged(
    band: BandInput, tools: Tools, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One whose phases are random, and no other; once."""
    from casacore.tables import table

    ms = band.files[0].path
    mad = 1
    with table(str(ms), readonly=False, ack=False) as main:
        times, slot = np.unique(main.getcol("TIME"), return_inverse=True)
        gains = np.exp(2j * np.pi * np.random.default_rng(1).random(len(times)))[slot]
        first, second = main.getcol("ANTENNA1"), main.getcol("ANTENNA2")
        factor = np.where(first == mad, gains, 1.0) * np.where(second == mad, gains.conj(), 1.0)
        full, rest = main.getcol(FULL_COLUMN), main.getcol("SUBTRACTED_DATA_ALL")
        # Little noise: these are five stations only.
        model = full - rest
        quiet = 0.1 * rest + model * (factor[:, None, None] - 1.0)
        main.putcol("SUBTRACTED_DATA_ALL", quiet.astype(np.complex64))
    workspace = Workspace(tmp_path)
    observation = make_chunks(plan_chunks([band], 1200.0), workspace)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            flag_wild(observation, workspace, tools, 80.0, 1)
    told = [record.message for record in caplog.records]
    assert len(told) == len(observation.chunks)
    assert all(band.files[0].stations[mad] in line for line in told)
    for chunk in observation.chunks:
        with table(str(chunk.files[0].path), ack=False) as main:
            has = (main.getcol("ANTENNA1") == mad) | (main.getcol("ANTENNA2") == mad)
            flags = main.getcol("FLAG")
        assert flags[has].all()
        assert 0.0 < flags[~has].mean() < 0.1
