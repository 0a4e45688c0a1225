"""outlierpeel: solve for a bright source outside the field with a given model.

What facetsub then takes out of the data is this model, corrupted with solutions that keep
its flux scale; sources of the initial models, where they have any of it, give way to it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from factor.directions.model import Facet
from factor.execution.context import Context
from factor.operations import peeling
from factor.operations.base import Field
from factor.operations.visibilities.difference import Change

NAME = "outlierpeel"


def run(context: Context, field: Field, outlier: Facet) -> dict[str, Any]:
    """Solve for an outlier and look at what its subtraction would leave.

    Parameters
    ----------
    context : Context
        Of outlierpeel on this direction.
    field : Field
        The field.
    outlier : Facet
        The outlier's patch.

    Returns
    -------
    dict
        The results for the record: verdict, identity of the change.
    """
    peeling.solve(context, field, outlier)
    change = change_of(field, outlier, lambda _: context.products)
    return peeling.look_and_judge(context, field, outlier, change)


def change_of(field: Field, outlier: Facet, folder: Callable[[str], Path]) -> Change:
    """What the peeling of an outlier changes in the data, from the folder with its products."""
    products = folder(NAME)
    return Change(
        peeling.corrupted_model(products, outlier.name), field.initial_models(outlier, products)
    )
