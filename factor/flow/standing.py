"""What the records say of each direction: self-calibrated, good, subtracted, imaged with what."""

from __future__ import annotations

from dataclasses import dataclass

from factor.directions.geometry import separation_deg
from factor.directions.model import Facet
from factor.execution.context import Engine
from factor.operations import facetselfcal, solving
from factor.operations.base import Field, Solutions
from factor.operations.difference import Change
from factor.operations.facetimage import Calibration
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
    """

    engine: Engine
    field: Field

    def record(self, operation: str, facet: Facet) -> Record | None:
        """The record of an operation on a facet that was finished; None otherwise."""
        record = self.engine.store.load(operation, facet.name)
        return record if record is not None and record.status == "done" else None

    def is_good(self, facet: Facet) -> bool:
        """Whether a direction was self-calibrated and its verdict is good."""
        record = self.record("facetselfcal", facet)
        if record is None:
            return False
        return bool(record.results["verdict"]["good"]) or self.field.settings.calibration.skip_selfcal_check

    def why_bad(self, facet: Facet) -> str:
        """The reasons why a direction is not good."""
        record = self.engine.store.load("facetselfcal", facet.name)
        if record is None or record.status != "done":
            return record.error if record is not None else "it did not run"
        return facetselfcal.explain(record.results["verdict"])

    def preapplied(self, facet: Facet) -> bool:
        """Whether another direction's phases were applied before it was solved."""
        record = self.engine.store.load("facetselfcal", facet.name)
        return record is not None and bool(record.results.get("preapplied"))

    def is_subtracted(self, facet: Facet) -> bool:
        """Whether its new model stands subtracted, also if this run would not self-calibrate it."""
        return self.record("facetsub", facet) is not None

    def subtracted_somewhere(self) -> set[str]:
        """Directions that stand subtracted from at least one chunk."""
        files = [file for chunk in self.field.observation.chunks for file in chunk.files]
        ledgers = [Ledger(self.engine.workspace, file.path) for file in files]
        return {entry.direction for ledger in ledgers for entry in ledger.subtracted()}

    def solutions(self, facet: Facet) -> Solutions:
        """The final solutions of a self-calibrated direction."""
        products = self.engine.workspace.products("facetselfcal", facet.name)
        return solving.solutions_of(products, facet.name)

    def change(self, facet: Facet, operation: str = "facetselfcal") -> Change:
        """What the self-calibration of a direction changes; of facetsub: what stands subtracted."""
        products = self.engine.workspace.products(operation, facet.name)
        return facetselfcal.change_of(self.engine, self.field, facet, products)

    def calibration(self, facet: Facet) -> Calibration:
        """What a facet is imaged with: its own solutions, the nearest good ones, or none."""
        if self.is_subtracted(facet):
            own = self.change(facet, "facetsub").new
            return Calibration(own, own.solutions, "own")
        good = [other for other in self.field.facets if self.is_good(other)]
        if not good:
            return Calibration(None, None, "none")
        nearest = min(good, key=lambda other: _distance_deg(facet, other))
        return Calibration(None, self.solutions(nearest), "borrowed")


def _distance_deg(one: Facet, other: Facet) -> float:
    return float(separation_deg(one.ra_deg, one.dec_deg, other.direction.ra_deg, other.direction.dec_deg))
