"""What a check of a mosaic against known sources found: a row for each source, and summaries."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from factor.state.store import as_json

#: With fewer sources nothing is said of them.
FEWEST = 3
#: Beyond these something is wrong: the median flux ratio and its scatter, the median offset in
#: widths of the beam (minor axis), and the part of the sources that must be there.
FLUX_LIMITS, SCATTER_LIMIT, OFFSET_LIMIT_BEAMS, FOUND_LIMIT = (0.8, 1.25), 0.3, 0.5, 0.8


@dataclass(frozen=True)
class Row:
    """One source in the table; NaN where it could not be measured."""

    reference: str
    name: str
    ra_deg: float
    dec_deg: float
    facet: int
    distance_deg: float
    primary_beam: float
    expected_apparent_jy: float
    measured_apparent_jy: float
    error_apparent_jy: float
    measured_true_jy: float
    flux_ratio: float
    ra_offset_arcsec: float
    dec_offset_arcsec: float


@dataclass(frozen=True)
class Summary:
    """What a reference's sources say of the mosaic; NaN without sources."""

    reference: str
    expected: int
    """Sources that should be there."""
    found: int
    flux_ratio: float
    """Median of measured over expected."""
    flux_scatter: float
    """1.4826 x median absolute deviation."""
    ra_offset_arcsec: float
    dec_offset_arcsec: float
    """Medians of measured minus expected, in angle on the sky."""
    offset_arcsec: float
    """Median distance."""
    freq_hz: float
    beam_arcsec: float
    """Minor axis."""

    def __str__(self) -> str:
        if self.found == 0:
            return f"{self.found} of {self.expected} sources of the {self.reference} found"
        return (
            f"{self.found} of {self.expected} sources of the {self.reference} found; flux "
            f"{self.flux_ratio:.3f} of theirs at {self.freq_hz / 1e6:.1f} MHz (median; scatter "
            f'{self.flux_scatter:.3f}); RA {self.ra_offset_arcsec:+.2f}", Dec {self.dec_offset_arcsec:+.2f}" '
            f'(medians; distance {self.offset_arcsec:.2f}")'
        )

    def problems(self) -> list[str]:
        """What is beyond the limits, with value and limit; empty for too few sources to tell."""
        if self.expected < FEWEST:
            return []
        problems = []
        if self.found < FOUND_LIMIT * self.expected:
            problems.append(f"only {self.found} of {self.expected} sources are where they should be")
        if self.found < FEWEST:
            return problems
        low, high = FLUX_LIMITS
        if not low <= self.flux_ratio <= high:
            problems.append(f"the median flux ratio is {self.flux_ratio:.2f} (limits {low:g} and {high:g})")
        if self.flux_scatter > SCATTER_LIMIT:
            problems.append(f"flux ratios scatter by {self.flux_scatter:.2f} (limit {SCATTER_LIMIT:g})")
        offset, limit = math.hypot(self.ra_offset_arcsec, self.dec_offset_arcsec), OFFSET_LIMIT_BEAMS
        if offset > limit * self.beam_arcsec:
            problems.append(
                f'sources are off by {offset:.2f}" in the median (limit {limit:g} of the beam\'s minor axis, '
                f'{limit * self.beam_arcsec:.2f}")'
            )
        return problems


def read_summaries(path: Path) -> list[Summary]:
    """The summaries in ``check.json``."""
    entries: list[dict[str, Any]] = json.loads(path.read_text())
    unknown: dict[str, Any] = dict.fromkeys(Summary.__dataclass_fields__, math.nan)
    return [Summary(**{**unknown, **{k: v for k, v in e.items() if v is not None}}) for e in entries]


def write_summaries(path: Path, summaries: Sequence[Summary]) -> None:
    """Write ``check.json``; what is not known is null there."""
    path.write_text(json.dumps([as_json(asdict(summary)) for summary in summaries], indent=1))


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write ``check.csv``."""
    names = list(Row.__dataclass_fields__)
    with path.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(names)
        for row in rows:
            writer.writerow([_text(name, getattr(row, name)) for name in names])


def read_rows(path: Path) -> list[Row]:
    """The sources in ``check.csv``."""
    with path.open(newline="") as handle:
        entries = list(csv.DictReader(handle))
    return [Row(**{name: _value(name, text) for name, text in entry.items()}) for entry in entries]


def _value(name: str, text: str) -> Any:
    if name in ("reference", "name"):
        return text
    return int(text) if name == "facet" else float(text or "nan")


def _text(name: str, value: object) -> object:
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return ""
    if name in ("ra_deg", "dec_deg"):
        return f"{value:.6f}"
    return f"{value:.3f}" if name.endswith("arcsec") else f"{value:.5g}"
