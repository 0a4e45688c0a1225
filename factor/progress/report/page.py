"""A report: one static folder that tells how a run went and is opened from disk."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

from factor.errors import InputError
from factor.files import whole
from factor.progress.model import Progress
from factor.progress.report import charts, directions, sections
from factor.progress.report.drawing import scale_stops
from factor.progress.report.gather import Share, field_rows, shares_of
from factor.progress.report.journal import Journal, read_journal, tails_of
from factor.progress.report.markup import Content, Markup, element, joined
from factor.progress.report.pictures import Album
from factor.progress.report.states import colours
from factor.state.records import Record
from factor.workspace import Workspace, base_operation, run_order

#: Pictures are made so many at a time, at most.
_THREADS = 4


def write_report(workspace: Workspace, progress: Progress, records: Sequence[Record], folder: Path) -> Path:
    """Write a report, or bring one up to date; a browser that reads it meanwhile is not disturbed.

    Parameters
    ----------
    workspace : Workspace
        Is only read.
    progress : Progress
        What is going on.
    records : sequence of Record
        Of all operations.
    folder : Path
        Of the report; made when it is not there.

    Returns
    -------
    Path
        The page to open.

    Raises
    ------
    InputError
        When the folder can't be written, or holds something else.
    """
    _check_folder(folder, workspace)
    try:
        album = Album(folder)
        page = _page(workspace, progress, records, album)
        path = folder / "index.html"
        with whole(path) as draft:
            draft.write_text(page, encoding="utf-8")
        album.tidy()
    except OSError as error:
        raise InputError(
            f"the report can't be written to {folder}: {error.strerror or error}", "name another folder"
        ) from error
    return path


def _check_folder(folder: Path, workspace: Workspace) -> None:
    """Refuse a folder whose files might be mixed up with the report's."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--html {folder}: this is no folder", "name a folder for the report")
    own = (workspace.results, workspace.state, workspace.chunks, workspace.logs)
    whole = folder.resolve()
    if whole == workspace.root.resolve() or any(whole.is_relative_to(path.resolve()) for path in own):
        raise InputError(
            f"--html {folder}: this is the run's own folder", "name a folder for the report alone"
        )
    if folder.is_dir() and any(folder.iterdir()) and not _is_report(folder):
        raise InputError(
            f"--html {folder}: the folder holds something else than a report", "name an empty or a new folder"
        )


def _is_report(folder: Path) -> bool:
    """Whether a report was begun here."""
    return (folder / "thumbs").is_dir() and (folder / "pictures").is_dir()


def _page(workspace: Workspace, progress: Progress, records: Sequence[Record], album: Album) -> str:
    by_key = {(record.operation, record.direction): record for record in records}
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        mosaics = pool.submit(field_rows, workspace, progress, album)
        shares = list(pool.map(lambda d: shares_of(workspace, d, by_key, album), progress.directions))
        mosaic_shares = mosaics.result()
    now = time.time()
    journal = read_journal(workspace)
    noises = [directions.noise_of(d, own) for d, own in zip(progress.directions, shares, strict=True)]
    told = [
        directions.section(d, own, progress.stale_in(d.name))
        for d, own in zip(progress.directions, shares, strict=True)
    ]
    body = joined(
        element("a", "to the field", href="#field", class_="skip"),
        sections.head(progress, now),
        element(
            "main",
            sections.failures(progress, tails_of(workspace, progress.failures)),
            sections.stale_section(progress),
            sections.field_section(progress, now),
            _mosaic(mosaic_shares, by_key, journal),
            _noise(progress, noises),
            element("section", element("h2", "Directions"),
                    sections.directions_table(progress) or element("p", "There are none yet.", class_="note"),
                    *told, id="directions"),
            _timeline(progress, records),
            _run(progress, journal),
        ),
        element("dialog", id="viewer", aria_label="Picture"),
        element("script", Markup(_own("script.js"))),
    )  # fmt: skip
    return "<!DOCTYPE html>\n" + element("html", _head(progress), element("body", body), lang="en") + "\n"


def _head(progress: Progress) -> Markup:
    ramp = f":root{{--ramp:linear-gradient(to right,{','.join(scale_stops())})}}\n"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        # The page itself says that it needs nothing from elsewhere.
        element("meta", http_equiv="Content-Security-Policy",
                content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'; "
                        "script-src 'unsafe-inline'"),
        element("title", f"Factor: {Path(progress.root).parent.name}/{Path(progress.root).name}"),
        element("style", Markup(ramp + colours() + _own("style.css"))),
    )  # fmt: skip


def _own(name: str) -> str:
    return files("factor.progress.report").joinpath(name).read_text(encoding="utf-8")


def _mosaic(shares: Sequence[Share], records: Mapping[tuple[str, str], Record], journal: Journal) -> Markup:
    numbers = list(journal.checks) if any(share.rows for share in shares) else []
    for share in shares:
        record = records.get((share.operation, "field"))
        noise = record.results.get("noise_jy") if record is not None else None
        if isinstance(noise, float):
            numbers.insert(0, f"{share.operation}: noise {1e3 * noise:.3g} mJy/beam")
    rows = [directions.row_of(row) for share in shares for row in share.rows]
    return sections.mosaic_section(shares, numbers, rows)


def _noise(progress: Progress, rows: Sequence[charts.NoiseRow]) -> Markup:
    limits = [
        check.limit
        for direction in progress.directions if direction.verdict is not None
        for check in direction.verdict.checks if check.key == "noise_over_expected"
    ]  # fmt: skip
    chart = charts.noise_chart(rows, limits[0] if limits else 0.0)
    content: list[Content] = [element("p", "Nothing was measured yet.", class_="note")]
    if any(row.thermal_jy or row.last_jy or row.facet_jy for row in rows):
        content = [directions.noise_table(rows)]
    if chart is not None:
        told = (
            "Noise over the expected one: ● calibrator's last image, ▲ facet's image; "
            "lines: what is expected, and (dashed) the limit"
        )
        content.insert(0, element("figure", element("figcaption", told), chart))
    return element("section", element("h2", "Noise against expectation"), *content, id="noise")


def _timeline(progress: Progress, records: Sequence[Record]) -> Markup:
    chart = charts.timeline(progress.begun, records)
    names = sorted({base_operation(operation.operation) for operation in progress.begun}, key=run_order)
    legend = (element("li", element("span", class_=f"swatch o-{name}"), name) for name in names)
    content: list[Content] = [element("p", "Nothing was begun yet.", class_="note")]
    if chart is not None:
        content = [element("figure", element("ul", *legend, class_="legend"), chart),
                   sections.operations_table(progress.begun)]  # fmt: skip
    return element("section", element("h2", "Timeline"), *content, id="timeline")


def _run(progress: Progress, journal: Journal) -> Markup:
    try:
        parset = Path(progress.parset).read_text(errors="replace") if progress.parset else ""
    except OSError:
        parset = ""
    warnings = [
        element("h3", f"Warnings and errors of the last run: {journal.count}"),
        element("pre", "\n".join(journal.warnings), tabindex=0, aria_label="warnings"),
    ]
    return element(
        "section",
        element("h2", "Log and parset"),
        *(warnings if journal.warnings else [element("p", "The last run gave no warnings.", class_="note")]),
        element("h3", "Versions"),
        element("pre", "\n".join(journal.versions) or "not known", tabindex=0, aria_label="versions"),
        element("h3", "Parset"),
        element("pre", parset or "It can't be read from here.", tabindex=0, aria_label="parset"),
        id="run",
    )
