"""The section of a direction: its verdict, its images and its solutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from factor.products.verdict import Check, Verdict
from factor.progress.model import Direction
from factor.progress.report.charts import NoiseRow
from factor.progress.report.drawing import HIGH, LOW
from factor.progress.report.gather import Row, Share
from factor.progress.report.markup import Content, Markup, element, joined
from factor.progress.report.pictures import Picture
from factor.progress.report.sections import state_badge, table
from factor.progress.report.states import anchor


def section(direction: Direction, shares: Sequence[Share], stale: Mapping[str, Sequence[str]]) -> Markup:
    """All that is known of a direction.

    Parameters
    ----------
    direction : Direction
    shares : sequence of Share
        What its operations have left.
    stale : mapping of str to sequence of str
        Its stale operations, with the reasons.
    """
    planned = direction.planned
    facts = ["position not known"]
    if planned.vertices:
        facts = [f"RA {planned.ra_deg:.4f}°, Dec {planned.dec_deg:+.4f}°"]
    if planned.flux_jy:
        facts.append(f"calibrator of {planned.flux_jy:.3g} Jy")
    if planned.is_patch:
        facts.append("outside the field: not imaged")
    if planned.is_target:
        facts.append("the target: not calibrated itself")
    if direction.group:
        facts.append(f"group {direction.group}")
    return element(
        "section",
        element("h3", f"{direction.name} ", state_badge(direction)),
        element("p", ", ".join(facts), ". ", element("a", "↑ map", href="#field"), class_="note"),
        *(element("p", f"{operation} is stale because {'; '.join(why)}", class_="bad")
          for operation, why in stale.items()),
        *(_share(share, alone=len(shares) == 1) for share in shares),
        id=anchor(direction.name), class_="direction",
    )  # fmt: skip


def _verdict(verdict: Verdict) -> Markup | None:
    if not verdict.checks:
        return None
    failed = verdict.failures
    said = "good" if not failed else "bad"
    if verdict.skipped and failed:
        said = "bad, and taken for good, as asked"
    summary = f"Verdict: {said}, {len(verdict.checks) - len(failed)} of {len(verdict.checks)} checks passed"
    ordered = sorted(verdict.checks, key=lambda check: check.passed)
    reasons = [
        element("li", element("strong", check.name), f": {_value(check)}, at most {_limit(check)}: ",
                f"{check.reason} ", element("code", check.option))
        for check in failed
    ]  # fmt: skip
    rows: list[list[Content]] = [
        ["passed" if check.passed else element("span", "✖ FAILED", class_="bad"), check.name, _value(check),
         _limit(check), check.option or "", check.reason]
        for check in ordered
    ]  # fmt: skip
    titles = ("", "check", "value", "at most", "option", "above that")
    return joined(
        element("p", element("strong", summary), class_="bad" if failed else None),
        element("ul", *reasons, class_="reasons") if reasons else None,
        element("details", element("summary", "all numbers"), table(titles, rows)),
    )


def _value(check: Check) -> str:
    return "no number" if math.isnan(check.value) else f"{check.value:.3g} {check.unit}".rstrip()


def _limit(check: Check) -> str:
    return f"{check.limit:.3g} {check.unit}".rstrip()


def _share(share: Share, *, alone: bool) -> Markup | None:
    cycles = _cycles(share.results.get("cycles"))
    told = share.results.get("verdict")
    verdict = _verdict(Verdict.from_json(told)) if isinstance(told, dict) else None
    if not share.rows and cycles is None and verdict is None:
        return None
    title = None if alone else element("h4", share.operation)
    rows = element("div", *(row_of(row) for row in share.rows), class_="rows")
    return joined(title, verdict, rows, cycles)


def row_of(row: Row) -> Markup:
    """Pictures that belong together, and their scale."""
    return element(
        "figure",
        element("figcaption", row.title, _scale(row.noise_jy) if row.noise_jy else None),
        element("div", *(_picture(picture) for picture in row.pictures), class_="strip"),
    )


def _picture(picture: Picture) -> Markup:
    image = element(
        "img", src=picture.small, alt=picture.title, width=picture.width, height=picture.height,
        loading="lazy", decoding="async",
    )  # fmt: skip
    return element("a", image, element("span", picture.title), href=picture.large, class_="picture")


def _scale(noise_jy: float) -> Markup:
    ends = [f"{1e3 * factor * noise_jy:.3g}" for factor in (LOW, HIGH)]
    return element(
        "span", f" all from {ends[0]} ", element("span", class_="ramp", role="img", aria_label="colours"),
        f" to {ends[1]} mJy/beam (−3 to 30 times the last one's noise)", class_="scale",
    )  # fmt: skip


def _cycles(cycles: Any) -> Markup | None:
    if not isinstance(cycles, list) or not cycles:
        return None
    rows: list[list[Content]] = [
        [str(number), *(_shown(cycle, key, factor) for key, factor in
                        (("peak_jy", 1.0), ("noise_jy", 1e3), ("dynamic_range", 1.0), ("min_max", 1.0)))]
        for number, cycle in enumerate(cycles)
    ]  # fmt: skip
    titles = ("cycle", "peak (Jy/beam)", "noise (mJy/beam)", "dynamic range", "|min|/max")
    return element("details", element("summary", "numbers of the cycles"), table(titles, rows))


def _shown(cycle: Any, key: str, factor: float) -> str:
    value = cycle.get(key) if isinstance(cycle, dict) else None
    return f"{factor * value:.4g}" if isinstance(value, int | float) else ""


def noise_of(direction: Direction, shares: Sequence[Share]) -> NoiseRow:
    """The noise of a direction's images."""
    values = direction.verdict.values if direction.verdict is not None else {}
    thermal = first = last = facet = 0.0
    for share in shares:
        cycles = share.results.get("cycles") or []
        if cycles:
            first, last = (float(cycle.get("noise_jy") or 0.0) for cycle in (cycles[0], cycles[-1]))
        thermal = float(share.results.get("thermal_noise_jy") or thermal)
        quality = share.results.get("quality")
        facet = float(quality.get("noise_jy") or facet) if isinstance(quality, dict) else facet
    ratios = (values.get("noise_over_expected", 0.0), values.get("facet_noise_over_expected", 0.0))
    finite = [ratio if math.isfinite(ratio) else 0.0 for ratio in ratios]
    return NoiseRow(direction.name, thermal, first, last, facet, *finite)


def noise_table(rows: Sequence[NoiseRow]) -> Markup:
    """Noise of all directions, mJy/beam."""

    def milli(value: float) -> str:
        return f"{1e3 * value:.3g}" if value else ""

    def ratio(value: float) -> str:
        return f"{value:.2f}" if value else ""

    shown: list[list[Content]] = [
        [element("a", row.name, href=f"#{anchor(row.name)}"), milli(row.thermal_jy), milli(row.first_jy),
         milli(row.last_jy), ratio(row.calibrator_ratio), milli(row.facet_jy), ratio(row.facet_ratio)]
        for row in rows if row.thermal_jy or row.last_jy or row.facet_jy
    ]  # fmt: skip
    titles = ("noise, mJy/beam", "thermal", "calibrator, first", "calibrator, last", "over expected",
              "facet (facetimage)", "over expected (facetselfcal)")  # fmt: skip
    return table(titles, shown)
