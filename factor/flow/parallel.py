"""Facets side by side: as many as the machine and the settings allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from factor.directions.model import Facet
from factor.errors import FactorError, NoRoomError
from factor.execution.context import Engine
from factor.execution.local import side_by_side

Job = Callable[[], None]


def facets_side_by_side(
    engine: Engine, limit: int | None, facets: Sequence[Facet], job: Callable[[Engine, Facet], Job]
) -> dict[str, FactorError]:
    """Work on facets at the same time.

    Parameters
    ----------
    engine : Engine
        The whole machine; each job gets an engine with its share.
    limit : int or None
        Largest number of facets at a time; None for as many as keep the processors busy.
    facets : sequence of Facet
        What to work on.
    job : callable
        Makes the work on one facet.

    Returns
    -------
    dict
        The error of each facet whose work failed.

    Raises
    ------
    Interrupted, NoRoomError
        When the run is to end.
    """
    part = engine.share(len(facets), limit)
    shared = replace(engine, threads=part.threads, memory_gb=part.memory_gb)
    failures = side_by_side({facet.name: job(shared, facet) for facet in facets}, part.at_once)
    for error in failures.values():
        if isinstance(error, NoRoomError):
            raise error
    return failures
