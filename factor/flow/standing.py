"""What the records say of each direction: calibrated, good, subtracted, imaged with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from factor.directions.geometry import separation_deg
from factor.directions.model import Facet
from factor.execution.context import Engine
from factor.operations import facetpeel, facetselfcal, outlierpeel, peeling
from factor.operations.base import Field, Solutions
from factor.operations.calibration import solving
from factor.operations.calibration.plan import AGAIN, FIRST, RETRY
from factor.operations.facetimage import Calibration
from factor.operations.visibilities.difference import Change
from factor.operations.visibilities.passes import CorruptedModel
from factor.products.verdict import Verdict
from factor.state.ledger import Ledger
from factor.state.records import Record


@dataclass(frozen=True)
class Standing:
    """How the directions of a field stand, by the records of their operations.

    Attributes
    ----------
    engine : Engine
        Has the records.
    field : Field
        The field.
    undone : frozenset of str
        Directions that are looked at as if they no longer stood subtracted.
    """

    engine: Engine
    field: Field
    undone: frozenset[str] = frozenset()

    def record(self, operation: str, facet: Facet) -> Record | None:
        """The record of an operation on a facet that was finished; None otherwise."""
        record = self.engine.store.load(operation, facet.name)
        return record if record is not None and record.status == "done" else None

    def operation(self, facet: Facet) -> str:
        """The operation whose calibration counts: what stands subtracted, or is good, or came first."""
        if self._is_peeled(facet):
            return self._first(facet)
        names = [attempt.operation for attempt in (AGAIN, FIRST, RETRY)]
        # Also one that was interrupted: what has begun to be subtracted is to be finished.
        subtracted = self.engine.store.load("facetsub", facet.name)
        identity = None if subtracted is None else subtracted.settings.get("identity")
        for name in names:
            record = self.record(name, facet)
            if record is not None and record.results["identity"] == identity:
                return name
        return next((name for name in names if self._passed(name, facet)), FIRST.operation)

    def _is_peeled(self, facet: Facet) -> bool:
        return facet.name in self.field.peel_models

    def _first(self, facet: Facet) -> str:
        """The operation with which a direction's calibration begins to be judged."""
        if not self._is_peeled(facet):
            return FIRST.operation
        return outlierpeel.NAME if facet.direction.is_outlier else facetpeel.IMAGE

    def verdict(self, operation: str, facet: Facet) -> Verdict | None:
        """The verdict on a finished calibration, by the limits that hold now."""
        record = self.record(operation, facet)
        if record is None:
            return None
        settings = self.field.settings
        found = Verdict.from_json(record.results["verdict"])
        return found.again(settings.verdict, skip=settings.calibration.skip_selfcal_check)

    def is_good(self, facet: Facet) -> bool:
        """Whether a direction was calibrated and its verdict is good."""
        return self._passed(self.operation(facet), facet)

    def _passed(self, operation: str, facet: Facet) -> bool:
        verdict = self.verdict(operation, facet)
        return verdict is not None and verdict.good

    def has_failed(self, facet: Facet) -> bool:
        """Whether a direction was calibrated and is not good."""
        record = self.engine.store.load(self._first(facet), facet.name)
        return record is not None and record.status != "running" and not self.is_good(facet)

    def why_bad(self, facet: Facet, operation: str = "") -> str:
        """The reasons why a direction is not good: why its first calibration is not, or a given one."""
        operation = operation or self._first(facet)
        verdict = self.verdict(operation, facet)
        if verdict is not None:
            return verdict.explain()
        record = self.engine.store.load(operation, facet.name)
        if record is None and operation == facetpeel.IMAGE:
            record = self.engine.store.load(facetpeel.NAME, facet.name)
        return "it did not run" if record is None else record.error

    def look_at(self, facet: Facet) -> list[Path]:
        """The pictures that show why a verdict is bad; none where there is no verdict."""
        operation = self._first(facet)
        folder = self.engine.workspace.products(operation, facet.name)
        verdict = self.verdict(operation, facet)
        endings = [] if verdict is None else list(dict.fromkeys(c.look for c in verdict.failures))
        return [path for ending in endings for path in sorted(folder.glob(f"*{ending}"))[-1:]]

    def preapplied(self, facet: Facet) -> bool:
        """Whether another direction's phases were applied before it was solved."""
        record = self.engine.store.load(self.operation(facet), facet.name)
        return record is not None and bool(record.results.get("preapplied"))

    def is_subtracted(self, facet: Facet) -> bool:
        """Whether its new model stands subtracted, also if this run would not self-calibrate it."""
        return self.record("facetsub", facet) is not None

    def to_calibrate_again(self, facet: Facet) -> bool:
        """Whether it is subtracted as it was first calibrated, and was not tried once more."""
        return (
            self.is_subtracted(facet)
            and self.operation(facet) == FIRST.operation
            and self.record(AGAIN.operation, facet) is None
        )

    def subtractions(self) -> dict[str, str]:
        """What stands subtracted from at least one chunk: identities by direction."""
        files = [file for chunk in self.field.observation.chunks for file in chunk.files]
        entries = [e for file in files for e in Ledger(self.engine.workspace, file.path).outlook()]
        return {e.direction: e.identity for e in entries if e.direction not in self.undone}

    def solutions(self, facet: Facet) -> Solutions:
        """The final solutions of a calibrated direction, normalised ones."""
        if self._is_peeled(facet):
            return facetpeel.solutions_of(self._folder(facet), facet.name)
        products = self.engine.workspace.products(self.operation(facet), facet.name)
        return solving.solutions_of(products, facet.name)

    def change(self, facet: Facet, *, frozen: bool = False) -> Change:
        """What the calibration of a direction changes in the data.

        Parameters
        ----------
        frozen : bool
            What stands subtracted, from the copies of facetsub, and not what the
            calibration has left since.
        """
        folder = self._folder(facet, frozen=frozen)
        if self._is_peeled(facet):
            change_of = outlierpeel.change_of if facet.direction.is_outlier else facetpeel.change_of
            return change_of(self.field, facet, folder)
        return facetselfcal.change_of(self.field, facet, folder(self.operation(facet)))

    def _frozen_model(self, facet: Facet) -> CorruptedModel:
        """The new model that stands subtracted; nothing is written for it."""
        folder = self._folder(facet, frozen=True)
        if not self._is_peeled(facet):
            return facetselfcal.new_model_of(folder(FIRST.operation), facet.name)
        if facet.direction.is_outlier:
            return peeling.corrupted_model(folder(outlierpeel.NAME), facet.name)
        return facetpeel.new_model_of(folder, facet.name)

    def _folder(self, facet: Facet, *, frozen: bool = False) -> Callable[[str], Path]:
        """Where each operation has its products of a direction."""
        workspace = self.engine.workspace
        return lambda operation: workspace.products("facetsub" if frozen else operation, facet.name)

    def calibration(self, facet: Facet) -> Calibration:
        """What a facet is imaged with: its own solutions, the nearest good ones, or none."""
        if self.is_subtracted(facet):
            own = self._frozen_model(facet)
            return Calibration(own, own.solutions, "own")
        lender, failed = self.lender(facet), self.has_failed(facet)
        if lender is None:
            return Calibration(None, None, "none", failed)
        return Calibration(None, self.solutions(lender), "borrowed", failed)

    def lender(self, facet: Facet) -> Facet | None:
        """The nearest direction with good solutions, if there is any."""
        good = [other for other in self.field.facets if self.is_good(other)]
        return min(good, key=lambda other: _distance_deg(facet, other), default=None)


def _distance_deg(one: Facet, other: Facet) -> float:
    return float(separation_deg(one.ra_deg, one.dec_deg, other.direction.ra_deg, other.direction.dec_deg))
