"""The verdict: each limit has its number and its reason, and none is silent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from factor.products.verdict import Residual, Verdict, judge

BEFORE = Residual(field_peak_jy=0.5, field_noise_jy=0.01, facet_noise_jy=0.012)
AFTER = Residual(field_peak_jy=0.3, field_noise_jy=0.0099, facet_noise_jy=0.011)


def test_a_good_calibration() -> None:
    """Everything got better: nothing to say."""
    verdict = judge(BEFORE, AFTER, [100.0, 150.0], 0.02, skip=False)
    assert verdict.good
    assert verdict.failures == ()
    assert verdict.explain() == "all checks passed"


@pytest.mark.parametrize(
    ("after", "ranges", "flagged", "word"),
    [
        (replace(AFTER, field_peak_jy=2.1), [100.0, 150.0], 0.0, "peak"),
        (replace(AFTER, facet_noise_jy=0.013), [100.0, 150.0], 0.0, "facet"),
        (replace(AFTER, field_noise_jy=0.011), [100.0, 150.0], 0.0, "field's noise"),
        (AFTER, [100.0, 150.0, 80.0], 0.0, "dynamic range"),
        (AFTER, [100.0, 150.0], 0.7, "flagged"),
        (replace(AFTER, field_noise_jy=float("nan")), [100.0, 150.0], 0.0, "field's noise"),
    ],
)
def test_each_failure_is_told(after: Residual, ranges: list[float], flagged: float, word: str) -> None:
    """One bad number is enough, and it is named with value, limit and reason."""
    verdict = judge(BEFORE, after, ranges, flagged, skip=False)
    assert not verdict.good
    (failure,) = verdict.failures
    assert word in failure.name
    assert failure.reason in verdict.explain()
    assert f"{failure.limit:.4g}" in verdict.explain()


def test_a_small_peak_may_rise() -> None:
    """Noise of a faint field is no source that was left: below 0.75 Jy/beam the peak is no matter."""
    faint = replace(BEFORE, field_peak_jy=0.05)
    assert judge(faint, replace(AFTER, field_peak_jy=0.6), [1.0, 1.0], 0.0, skip=False).good
    assert not judge(faint, replace(AFTER, field_peak_jy=0.8), [1.0, 1.0], 0.0, skip=False).good


def test_skipping_still_notes_the_numbers() -> None:
    """skip_selfcal_check takes it for good, but the report has what is wrong."""
    verdict = judge(BEFORE, AFTER, [100.0, 50.0], 0.9, skip=True)
    assert verdict.good
    assert len(verdict.failures) == 2


def test_kept_in_the_state() -> None:
    """What a later run reads is what this one judged."""
    verdict = judge(BEFORE, AFTER, [100.0, 50.0], 0.9, skip=False)
    assert Verdict.from_json(verdict.to_json()) == verdict


def test_a_value_that_is_no_number_is_told() -> None:
    """State files keep such a value as null: the reason of a failure must still be readable."""
    verdict = judge(Residual(1.0, 1.0, 1.0), Residual(1.0, 1.0, float("nan")), [10.0, 20.0], 0.0, skip=False)
    content = verdict.to_json()
    for check in content["checks"]:
        if check["value"] != check["value"]:
            check["value"] = None
    assert "facet" in Verdict.from_json(content).explain()
    assert not Verdict.from_json(content).good
