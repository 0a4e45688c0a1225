"""Undoing a subtraction with the real DP3: the data are as if it had never been."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from factor.errors import FactorError
from factor.execution.context import Engine
from factor.execution.local import Processors
from factor.observation.model import Observation
from factor.operations import facetsub
from factor.operations.base import InitialModels, Solutions
from factor.operations.visibilities.difference import Change
from factor.operations.visibilities.passes import CorruptedModel
from factor.parset import load
from factor.preparation import chunk_observation, plan_observation
from factor.products.solutions.soltabs import AMPLITUDE, PHASE, Frame, Soltab, write_h5parm
from factor.state import ledger as ledger_module
from factor.state.ledger import Ledger
from factor.state.store import StateStore
from factor.tools.environment import find_tools
from factor.workspace import Workspace
from tests.fakes.observation import OPTIONS, make_observation, write_parset

pytestmark = pytest.mark.tools

#: Flux of each direction, Jy: the noise of a visibility is 1.
FLUXES = {"a": 10.0, "b": 30.0, "c": 2.5}


def _model(path: Path, name: str, flux_jy: float) -> None:
    ra, dec = OPTIONS.ra_deg + 0.2 * (ord(name) - ord("b")), OPTIONS.dec_deg + 0.1
    path.write_text(
        "FORMAT = Name, Type, Patch, Ra, Dec, I, ReferenceFrequency='144e6', SpectralIndex='[]'\n"
        f", , {name}, {ra / 15:.6f}h, {dec:.6f}deg\n"
        f"s, POINT, {name}, {ra / 15:.6f}h, {dec:.6f}deg, {flux_jy}, , [-0.7]\n"
    )


def _solutions(path: Path, name: str, observation: Observation) -> None:
    random = np.random.default_rng(ord(name))
    begin, end = observation.chunks[0].start_mjd_s, observation.chunks[-1].end_mjd_s
    times, freqs = np.linspace(begin, end, 20), np.array([band.freq_hz for band in observation.bands])
    shape = (len(times), len(freqs), len(observation.stations))
    ones = np.ones(shape)
    soltabs = {
        "phase000": Soltab(PHASE, times, freqs, observation.stations, None, random.normal(0, 1, shape), ones),
        "amplitude000": Soltab(
            AMPLITUDE, times, freqs, observation.stations, None, random.normal(1, 0.1, shape), ones
        ),
    }
    write_h5parm(path, soltabs, Frame(name, 0.0, 0.0, dict.fromkeys(observation.stations, (4e6, 5e5, 5e6))))


def _rms(data: np.ndarray) -> float:
    return float(np.sqrt((np.abs(data) ** 2).mean()))


class Place:
    """Chunks in a working directory, with changes that can be subtracted from them."""

    def __init__(self, workspace: Workspace, observation: Observation, models: Path) -> None:
        self.field: Any = SimpleNamespace(workspace=workspace, observation=observation)
        self.engine = Engine(workspace, StateStore(workspace), find_tools(), Processors(2))
        self._models = models

    def change(self, name: str, folder: Path) -> Change:
        """What calibration left in a folder, or facetsub the copies of."""
        old = folder / f"{name}.old.skymodel"
        initial = InitialModels({band.skymodel: old for band in self.field.observation.bands})
        path = folder / f"{name}.h5"
        solutions = Solutions(name, path, path, ("phase000", "amplitude000"))
        return Change(CorruptedModel(folder / f"{name}.skymodel", solutions), initial)

    def subtract(self, name: str) -> None:
        context = self.engine.context("facetsub", name)
        context.start({})
        facetsub.run(context, self.field, self.change(name, self._models))

    def undo(self, name: str) -> None:
        context = self.engine.context("facetsub", name)
        facetsub.undo(context, self.field, self.change(name, context.products))

    def read(self, column: str) -> list[np.ndarray]:
        from casacore.tables import table

        found = []
        for chunk in self.field.observation.chunks:
            for file in chunk.files:
                with table(str(file.path), ack=False) as main:
                    found.append(main.getcol(column))
        return found


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Place]:
    """The same chunks twice."""
    tmp_path = tmp_path_factory.mktemp("undo")
    make_observation(tmp_path / "data")
    settings = load(write_parset(tmp_path, tmp_path / "data"))

    def place(name: str) -> Place:
        workspace = Workspace(tmp_path / name)
        plan = plan_observation(settings, workspace, 1)
        return Place(workspace, chunk_observation(plan, workspace, 1), tmp_path)

    one, two = place("one"), place("two")
    for name, flux in FLUXES.items():
        _model(tmp_path / f"{name}.old.skymodel", name, 0.8 * flux)
        _model(tmp_path / f"{name}.skymodel", name, flux)
        _solutions(tmp_path / f"{name}.h5", name, one.field.observation)
    return one, two


def test_undone_in_any_order(places: tuple[Place, Place]) -> None:
    """Bright and faint, first, middle and last: to 1e-5 of the data's rms, and every flag.

    What is left is the rounding of single precision, also after many turns.
    """
    one, two = places
    for name in "abc":
        one.subtract(name)
    one.undo("b")
    one.undo("a")
    one.subtract("a")
    two.subtract("c")
    two.subtract("a")
    for first, second, pristine in zip(
        one.read("CORRECTED_DATA"), two.read("CORRECTED_DATA"), one.read("DATA"), strict=True
    ):
        assert np.abs(first - second).max() < 1e-5 * _rms(pristine)
        assert np.abs(second - pristine).mean() > 1.0, "something was subtracted"
    for first, second in zip(one.read("FLAG"), two.read("FLAG"), strict=True):
        assert np.array_equal(first, second)


def test_what_is_not_what_was_subtracted(places: tuple[Place, Place]) -> None:
    """A model that the user has changed since must not be added back."""
    one = places[1]
    one.subtract("b")
    before = one.read("CORRECTED_DATA")
    changed = one.change("b", one.engine.context("facetsub", "b").products)
    changed.new.skymodel.write_text(changed.new.skymodel.read_text().replace("30.0", "31.0"))
    with pytest.raises(FactorError, match="are not those that stand subtracted"):
        facetsub.undo(one.engine.context("facetsub", "b"), one.field, changed)
    for first, second in zip(before, one.read("CORRECTED_DATA"), strict=True):
        assert np.array_equal(first, second)


class Killed:
    """Subtractions and undoings in processes that are killed at random."""

    def __init__(self, place: Place, random: np.random.Generator) -> None:
        self.place, self._random = place, random
        files = [file.path for chunk in place.field.observation.chunks for file in chunk.files]
        self.ledgers = [Ledger(place.field.workspace, path) for path in files]
        for ledger in self.ledgers:
            ledger.reset_all()
        self._data = place.read("DATA")
        self._limits = [1e-5 * _rms(data) for data in self._data]
        self._changes: dict[str, list[np.ndarray]] = {}
        for name in FLUXES:
            begin = time.monotonic()
            place.subtract(name)
            self._seconds = time.monotonic() - begin
            after = place.read("CORRECTED_DATA")
            self._changes[name] = [one - two for one, two in zip(self._data, after, strict=True)]
            for ledger in self.ledgers:
                ledger.reset_all()
        self._standing, self._residuals = self.standing(), self._data

    def standing(self) -> list[Counter[str]]:
        """What stands subtracted, file by file."""
        return [Counter(entry.direction for entry in ledger.subtracted()) for ledger in self.ledgers]

    def check(self) -> None:
        """Each file has changed since the last look by what its ledger says, once, or not at all.

        Rounding to single precision adds up from edit to edit, so each is looked at by itself.
        """
        standing, residuals = self.standing(), self.place.read("CORRECTED_DATA")
        for number, (now, before) in enumerate(zip(standing, self._standing, strict=True)):
            found, expected = residuals[number], self._residuals[number]
            for name, changes in self._changes.items():
                assert now[name] <= 1
                expected = expected - (now[name] - before[name]) * changes[number]
            assert np.abs(found - expected).max() <= (self._limits[number] if now != before else 0.0)
        self._standing, self._residuals = standing, residuals

    def kill_during(self, action: Callable[[], None]) -> bool:
        """Whether an action was killed: in DP3 or anywhere, or at an instant of an edit."""
        by_clock = self._random.random() < 0.5
        seconds = self._seconds * self._random.random() if by_clock else 600.0
        instants = 0 if by_clock else int(self._random.integers(1, 6 * len(self.ledgers)))
        child = os.fork()
        if child == 0:
            passed = iter(range(1, 1000))

            def die(_: str) -> None:
                if next(passed) == instants:
                    os.kill(os.getpid(), signal.SIGKILL)

            status = 99
            try:
                ledger_module._instant = die
                action()
                status = 0
            finally:
                os._exit(status)
        timer = threading.Timer(seconds, os.kill, (child, signal.SIGKILL))
        timer.start()
        _, status = os.waitpid(child, 0)
        timer.cancel()
        assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
        return os.WIFSIGNALED(status)


def test_killed_at_random(places: tuple[Place, Place]) -> None:
    """No double and no missing subtraction, in any chunk, whatever of Factor or DP3 dies when."""
    place, random = places[0], np.random.default_rng(7)
    run, killed = Killed(place, random), 0
    while killed < (40 if os.environ.get("FACTOR_ALL_FAULTS") == "1" else 3):
        name = str(random.choice(list(FLUXES)))
        is_there = name in run.standing()[0]
        action = partial(place.undo if is_there else place.subtract, name)
        while run.kill_during(action):
            killed += 1
            for ledger in run.ledgers:
                ledger.recover()
            run.check()
        assert all((name in standing) != is_there for standing in run.standing())
        run.check()
