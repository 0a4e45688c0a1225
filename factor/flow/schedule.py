"""What is peeled, which facets are self-calibrated, in which groups, and which are imaged."""

from __future__ import annotations

from dataclasses import dataclass

from factor.directions.groups import group_directions
from factor.directions.model import Facet
from factor.operations.base import Field


@dataclass(frozen=True)
class Schedule:
    """What a run works on, in order.

    Attributes
    ----------
    outliers : tuple of Facet
        Peeled first.
    peeled : tuple of Facet
        Facets whose calibrators are peeled.
    groups : tuple of (tuple of Facet)
        Facets that are self-calibrated, group by group.
    second_round : tuple of Facet
        Those of them that are self-calibrated once more in the end, one by one.
    imaged : tuple of Facet
        Facets that are imaged.
    """

    outliers: tuple[Facet, ...]
    peeled: tuple[Facet, ...]
    groups: tuple[tuple[Facet, ...], ...]
    second_round: tuple[Facet, ...]
    imaged: tuple[Facet, ...]

    @property
    def calibrated(self) -> tuple[Facet, ...]:
        return (*self.peeled, *(facet for group in self.groups for facet in group))

    @classmethod
    def of(cls, field: Field) -> Schedule:
        """The schedule of a field, as its settings limit it."""
        limits = field.settings.directions
        own = tuple(facet for facet in field.facets if facet.direction.is_target)
        everything = tuple(f for f in field.facets if f not in own)[: limits.ndir_process]
        calibrated = everything if limits.ndir_selfcal is None else everything[: limits.ndir_selfcal]
        peeled = tuple(facet for facet in calibrated if facet.name in field.peel_models)
        by_name = {facet.name: facet for facet in calibrated if facet not in peeled}
        groups = group_directions(
            [facet.direction for facet in by_name.values()],
            limits.groupings,
            allow_reordering=limits.allow_reordering,
        )
        return cls(
            outliers=field.outliers,
            peeled=peeled,
            groups=tuple(tuple(by_name[d.name] for d in group) for group in groups),
            second_round=tuple(by_name.values())[: limits.ndir_second_round],
            imaged=_imaged(field, (*everything, *own)),
        )


def _imaged(field: Field, everything: tuple[Facet, ...]) -> tuple[Facet, ...]:
    """Of what is processed: the facets, or the one that holds the target."""
    if field.settings.imaging.image_target_only:
        return tuple(facet for facet in field.facets if facet.holds_target)
    return tuple(facet for facet in everything if not facet.is_patch)
