"""The verdict: each limit has its number and its reason, and none is silent."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import pytest

from factor.parset.schema import SECTIONS
from factor.parset.settings import VerdictSettings
from factor.products.verdict import CRITERIA, Residual, Verdict, judge, moved_values, residual_values

(SECTION,) = (section for section in SECTIONS if section.name == "verdict")
LIMITS = VerdictSettings(**{option.attribute: option.default for option in SECTION.options})

#: What the worst direction of a simulated field without trouble has; see tests/benchmarks.
GOOD = {
    "field_peak_rise": 1.0, "facet_residual_rise": 0.97, "field_noise_rise": 0.99, "noise_rise": 1.02,
    "peak_fall": 0.95, "dynamic_range_fall": 0.96, "divergence": 1.01, "flux_change": 1.2,
    "position_shift_beams": 0.05, "source_shift_arcsec": 1.3, "noise_over_expected": 1.7,
    "facet_noise_over_expected": 1.7, "flagged": 0.01, "phase_scatter_rad": 0.2, "gain_scatter": 0.03,
    "bad_stations": 0.0, "moved_residual_rise": 0.97,
}  # fmt: skip


def test_a_good_calibration() -> None:
    """Everything got better: nothing to say, and every number was looked at."""
    verdict = judge(GOOD, LIMITS, skip=False)
    assert verdict.good
    assert verdict.failures == ()
    assert verdict.explain() == "all checks passed"
    assert {check.key for check in verdict.checks} == set(CRITERIA)


@pytest.mark.parametrize("key", list(CRITERIA))
@pytest.mark.parametrize("value", ["above", math.nan, math.inf])
def test_each_failure_is_told(key: str, value: str | float) -> None:
    """One bad number is enough, also one that is none; value, limit, option and reason are named."""
    option = CRITERIA[key].option
    bad = 1.01 * getattr(LIMITS, option) if isinstance(value, str) else value
    verdict = judge({**GOOD, key: bad}, LIMITS, skip=False)
    assert not verdict.good
    (failure,) = verdict.failures
    value = f"{bad:.4g} " if math.isfinite(bad) else "is no number"
    for part in (failure.reason, failure.name, value, f"{failure.limit:.4g}", option):
        assert part in verdict.explain()


def test_every_limit_of_the_parset_is_used() -> None:
    """A limit that no number is held against would be a promise."""
    assert {criterion.option for criterion in CRITERIA.values()} == set(asdict(LIMITS))


def test_skipped_check_keeps_its_numbers() -> None:
    """The user who takes it anyway still finds what was wrong."""
    verdict = judge({**GOOD, "flagged": 0.9}, LIMITS, skip=True)
    assert verdict.good
    assert [check.key for check in verdict.failures] == ["flagged"]
    assert "0.9" in verdict.explain()


def test_what_was_not_measured_is_not_judged() -> None:
    """A peeled source has no cycles: it is judged by its residual and its solutions."""
    verdict = judge({"flagged": 0.1}, LIMITS, skip=False)
    assert [check.key for check in verdict.checks] == ["flagged"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_state_keeps_it(value: float) -> None:
    """Back from JSON it says the same; a value that is no number still fails."""
    verdict = judge({**GOOD, "noise_rise": value}, LIMITS, skip=False)
    content = verdict.to_json()
    content["checks"] = [
        {**check, "value": check["value"] if math.isfinite(check["value"]) else None}
        for check in content["checks"]
    ]
    again = Verdict.from_json(json.loads(json.dumps(content)))
    assert not again.good
    assert [check.key for check in again.failures] == ["noise_rise"]
    assert again.explain() == verdict.explain()


def test_other_limits_judge_again() -> None:
    """A user who loosens a limit need not calibrate again for it."""
    verdict = judge({**GOOD, "noise_rise": 1.3}, LIMITS, skip=False)
    assert verdict.again(replace(LIMITS, max_noise_rise=1.4), skip=False).good
    assert not verdict.again(LIMITS, skip=False).good
    assert verdict.again(LIMITS, skip=True).good


def test_residuals() -> None:
    """Facet and field are compared each with itself, before and after."""
    before = Residual(field_peak_jy=0.5, field_noise_jy=0.01, facet_noise_jy=0.02)
    after = Residual(field_peak_jy=0.25, field_noise_jy=0.009, facet_noise_jy=0.03)
    assert residual_values(before, after) == pytest.approx(
        {"field_peak_rise": 0.5, "facet_residual_rise": 1.5, "field_noise_rise": 0.9}
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [("flux_change", 1.6), ("source_shift_arcsec", 3.1), ("source_shift_arcsec", math.nan)],
)
def test_a_large_change_must_make_the_residual_better(key: str, value: float) -> None:
    """A faint calibrator that moves, and leaves the residual as it was, would drag its facet along."""
    still = {"facet_residual_rise": 1.0, "flux_change": 1.2, "source_shift_arcsec": 1.9}
    assert moved_values(still) == {}
    moved = moved_values({**still, key: value})
    assert [check.key for check in judge(moved, LIMITS, skip=False).failures] == ["moved_residual_rise"]
    better = moved_values({**still, key: value, "facet_residual_rise": 0.9})
    assert judge(better, LIMITS, skip=False).good


def test_a_peeled_source_has_not_moved() -> None:
    """Its model is given."""
    assert moved_values({"facet_residual_rise": 1.0}) == {}
