"""What there is to look at of a direction: images and plots among the products."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from factor.progress.model import Direction
from factor.workspace import Workspace, base_operation

Kind = Literal["selfcal", "facet", "verify", "phases", "gains"]

#: What a person calls them.
TITLES: dict[Kind, str] = {
    "selfcal": "self-calibration images",
    "facet": "facet image",
    "verify": "residual images before and after",
    "phases": "TEC and phase solutions",
    "gains": "gains",
}

#: What the names of all plots of solutions have.
PLOTS = "make_selfcal_plots_"

#: Names of the products after that of the direction, the later ones further on.
_NAMES: dict[Kind, tuple[str, ...]] = {
    "selfcal": ("wsclean_image*.fits",),
    "facet": ("image_full*.fits",),
    "verify": ("wsclean_pre-image.fits", "wsclean_post-image.fits"),
    "phases": (f"{PLOTS}tec.png", f"{PLOTS}fast_phase.png"),
    "gains": (f"{PLOTS}slow_amplitude.png", f"{PLOTS}slow_phase.png", f"{PLOTS}leakage.png"),
}


def products_of(workspace: Workspace, direction: Direction, kind: Kind) -> tuple[Path, ...]:
    """Images (FITS) or plots (PNG) of a direction that are there now.

    Parameters
    ----------
    workspace : Workspace
        The working directory.
    direction : Direction
        Whose.
    kind : str
        Which.

    Returns
    -------
    tuple of Path
        Of the last operation that left any, in the order in which they were made; of facet
        images those of every set of imaging parameters, and that of the self-calibration only
        before there are others.
    """
    found = [
        paths
        for operation in direction.operations
        if (paths := _in(workspace.products(operation, direction.name), direction.name, kind))
    ]
    if not found:
        return ()
    if kind == "facet":
        images = [
            path
            for operation in direction.operations
            if base_operation(operation) in ("facetimage", "facetpeelimage")
            for path in _in(workspace.products(operation, direction.name), direction.name, kind)
        ]
        return tuple(images) or found[-1]
    return found[-1]


def _in(folder: Path, name: str, kind: Kind) -> tuple[Path, ...]:
    return tuple(path for ending in _NAMES[kind] for path in sorted(folder.glob(f"{name}.{ending}")))


def redrawn(workspace: Workspace, direction: Direction, kind: Kind, folder: Path) -> tuple[Path, ...]:
    """Plots of a direction that are missing, drawn again from its last solutions.

    Parameters
    ----------
    workspace, direction, kind
        As for `products_of`.
    folder : Path
        Takes the plots.

    Raises
    ------
    FactorError, OSError
        When the solutions cannot be read.
    """
    calibrating = [name for name in direction.completed if name != "facetsub"]
    found = [solutions_in(workspace.products(name, direction.name)) for name in calibrating]
    kept = [h5parm for h5parm in found if h5parm is not None]
    if kind not in ("phases", "gains") or not kept:
        return ()
    plots_again(kept[-1], folder / f"{direction.name}.")
    return _in(folder, direction.name, kind)


def solutions_in(folder: Path) -> Path | None:
    """The solutions that an operation has left."""
    return next(iter(sorted(folder.glob("combined_solutions*.h5"))), None)


def plots_again(h5parm: Path, prefix: Path) -> list[Path]:
    """Plots of solutions, as a run makes them."""
    from factor.products.solutions.plot import plot_solutions

    return plot_solutions(h5parm, prefix)
