"""What a run has left for a report: pictures, numbers of cycles, messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from factor.products.images.masks import Vertices
from factor.progress.gallery import PLOTS, plots_again, solutions_in
from factor.progress.model import Direction, Progress
from factor.progress.report.drawing import draw_image, noise_of
from factor.progress.report.pictures import WIDE, Album, Picture, stamp
from factor.state.records import Record
from factor.workspace import FIELD, Workspace, run_order

#: Width of the small picture of the mosaic and of the check of its sources, pixels.
_WIDER = 760

_CYCLE = re.compile(r"wsclean_image(\d+)(?:_(\w+))?\.fits$")
_PLOTS = {
    "fast_phase": "fast phases",
    "tec": "TEC",
    "slow_amplitude": "slow gains, amplitudes",
    "slow_phase": "slow gains, phases",
    "leakage": "slow gains, leakage",
    "amplitude": "amplitudes",
}


@dataclass(frozen=True)
class Row:
    """Pictures that belong together.

    Attributes
    ----------
    title : str
    pictures : tuple of Picture
    noise_jy : float
        Where all are on one scale: what sets it; else 0.
    """

    title: str
    pictures: tuple[Picture, ...]
    noise_jy: float = 0.0


@dataclass(frozen=True)
class Share:
    """What one operation has left of one direction."""

    operation: str
    record: Record | None
    rows: tuple[Row, ...] = field(default_factory=tuple)

    @property
    def results(self) -> Mapping[str, Any]:
        return self.record.results if self.record is not None else {}


def shares_of(
    workspace: Workspace, direction: Direction, records: Mapping[tuple[str, str], Record], album: Album
) -> list[Share]:
    """All that is left of a direction, in the order of the run.

    Parameters
    ----------
    workspace : Workspace
    direction : Direction
    records : mapping of (operation, direction) to Record
    album : Album
        Takes up the pictures.
    """
    shares = []
    for operation in sorted(direction.operations, key=run_order):
        folder = workspace.products(operation, direction.name)
        record = records.get((operation, direction.name))
        rows = [*_images(folder, direction, record, album), *_plots(folder, _plots_due(record), album)]
        if rows or record is not None:
            shares.append(Share(operation, record, tuple(rows)))
    return shares


def _images(folder: Path, direction: Direction, record: Record | None, album: Album) -> list[Row]:
    cycles = [path for path in sorted(folder.glob("*wsclean_image*.fits")) if _CYCLE.search(path.name)]
    told = (record.results.get("cycles") if record is not None else None) or []
    rows = []
    if cycles:
        noise = _number(told[-1].get("noise_jy")) if told else 0.0
        titles = [_cycle_title(path) for path in cycles]
        rows.append(_on_one_scale("calibrator, cycle by cycle", cycles, titles, album, noise=noise))
    pair = [path for kind in ("pre", "post") for path in sorted(folder.glob(f"*wsclean_{kind}-image.fits"))]
    if pair:
        titles = ["before" if "pre-image" in path.name else "after" for path in pair]
        outline = direction.planned.vertices
        rows.append(_on_one_scale("residual of the field, middle band", pair, titles, album, outline=outline))
    facets = [_facet_image(path, direction, album) for path in sorted(folder.glob("*image_full.fits"))]
    if any(facets):
        rows.append(Row("facet", tuple(picture for picture in facets if picture is not None)))
    return [row for row in rows if row.pictures]


def _on_one_scale(
    title: str,
    paths: Sequence[Path],
    titles: Sequence[str],
    album: Album,
    *,
    noise: float = 0.0,
    outline: Vertices = (),
) -> Row:
    """Several images on the scale of the last one's noise."""
    if not noise > 0:
        try:
            noise = noise_of(paths[-1])
        except (OSError, ValueError):
            return Row(title, ())
    drawn = [
        album.drawn(
            name, path.stem, f"{stamp(path)} {noise:.4g} {outline}", partial(draw_image, path, noise, outline)
        )
        for path, name in zip(paths, titles, strict=True)
    ]
    return Row(title, tuple(picture for picture in drawn if picture is not None), noise)


def _cycle_title(path: Path) -> str:
    found = _CYCLE.search(path.name)
    number, more = (found[1], found[2]) if found else ("", None)
    return f"cycle {int(number or 0)}" + (f", {more}" if more else "")


def _facet_image(path: Path, direction: Direction, album: Album) -> Picture | None:
    def remake(target: Path) -> None:
        from factor.products.images.plot import plot_image

        plot_image(path, target, outline=direction.planned.vertices or None, title=path.stem)

    return album.product("facet", path.with_suffix(".png"), WIDE, remake)


def _plots_due(record: Record | None) -> int:
    """How many plots of solutions there should be; facetsub keeps a copy of solutions, but no plots."""
    if record is None or record.status != "done" or record.operation == "facetsub":
        return 0
    made = [path for step in record.steps.values() for path in step.outputs if PLOTS in path]
    return max(1, len(made))


def _plots(folder: Path, due: int, album: Album) -> list[Row]:
    """The plots of the solutions; where one is missing, all are drawn again."""
    found = sorted(folder.glob(f"*{PLOTS}*.png"))
    pictures = [album.product(_plot_title(path), path, WIDE) for path in found]
    shown = [picture for picture in pictures if picture is not None]
    h5parm = solutions_in(folder)
    if len(shown) < due and h5parm is not None:
        paths = album.several(h5parm, lambda prefix: plots_again(h5parm, prefix))
        pictures = [album.made(_plot_title(path), path, WIDE) for path in sorted(paths)]
        shown = [picture for picture in pictures if picture is not None] or shown
    return [Row("solutions", tuple(shown))] if shown else []


def _plot_title(path: Path) -> str:
    kind = path.stem.rpartition(PLOTS)[2]
    return _PLOTS.get(kind.rstrip("_"), kind.replace("_", " "))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def field_rows(workspace: Workspace, progress: Progress, album: Album) -> list[Share]:
    """Mosaics, and the checks of their fluxes and positions.

    Parameters
    ----------
    workspace : Workspace
    progress : Progress
        Has the operations on the whole field, and the facets.
    album : Album
        Takes up the pictures.
    """
    shares = []
    planned = [direction.planned for direction in progress.directions]
    outlines = {p.name: p.vertices for p in planned if p.vertices and not p.is_patch}
    for operation in sorted((operation.operation for operation in progress.field), key=run_order):
        folder = workspace.products(operation, FIELD)
        images = sorted(folder.glob("*correct_mosaic.pbcut.fits"))
        mosaics = [_mosaic(path, outlines, album) for path in images]
        checks = [_check(path, album) for path in sorted(folder.glob("*check.json"))]
        rows = [
            Row("mosaic, flat noise", tuple(picture for picture in mosaics if picture)),
            Row("fluxes and positions of its sources", tuple(picture for picture in checks if picture)),
        ]
        shares.append(Share(operation, None, tuple(row for row in rows if row.pictures)))
    return shares


def _mosaic(path: Path, outlines: Mapping[str, Vertices], album: Album) -> Picture | None:
    def remake(target: Path) -> None:
        from factor.products.images.plot import plot_image

        plot_image(path, target, outlines=outlines)

    return album.product("mosaic", path.with_suffix(".png"), _WIDER, remake)


def _check(path: Path, album: Album) -> Picture | None:
    def remake(target: Path) -> None:
        from factor.products.fieldcheck.plot import plot_check
        from factor.products.fieldcheck.table import read_rows, read_summaries

        plot_check(read_rows(path.with_suffix(".csv")), read_summaries(path), target)

    return album.product("fluxes and positions", path.with_suffix(".png"), _WIDER, remake)
