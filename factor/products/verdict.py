"""The verdict on a self-calibration: numbers against limits, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

#: Peak of the middle band's residual after subtraction, Jy/beam, that is always good enough.
GOOD_PEAK_JY = 0.75
#: Factor by which that peak may rise.
PEAK_RISE = 4.0
#: Factor by which the noise of the facet's residual may rise.
FACET_RISE = 1.05
#: Factor by which the noise of the whole field's residual may rise.
FIELD_RISE = 1.02
#: Factor by which the calibrator's dynamic range may fall from the first image to the last.
DYNAMIC_RANGE_FALL = 0.95
#: Largest fraction of flagged solutions.
FLAGGED = 0.5


@dataclass(frozen=True)
class Check:
    """One number of a verdict.

    Attributes
    ----------
    name : str
        What was measured.
    value, limit : float
        The value and the largest one that passes.
    unit : str
        Of both.
    passed : bool
        Whether the limit holds.
    reason : str
        What it means, for a person.
    """

    name: str
    value: float
    limit: float
    unit: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Verdict:
    """All checks on one self-calibration."""

    checks: tuple[Check, ...]
    skipped: bool = False
    """Whether the user asked to take every self-calibration for a success."""

    @property
    def good(self) -> bool:
        return self.skipped or all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the state."""
        return {
            "good": self.good,
            "skipped": self.skipped,
            "checks": [asdict(check) for check in self.checks],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Verdict:
        """Inverse of `to_json`."""
        # A value that is no number is kept as null.
        checks = tuple(
            Check(**{**check, "value": float("nan") if check["value"] is None else check["value"]})
            for check in content["checks"]
        )
        return cls(checks, bool(content["skipped"]))

    def numbers(self) -> str:
        """All that was measured, with the limits, on one line."""
        return ", ".join(
            f"{c.name} {c.value:.3g} (at most {c.limit:.3g} {c.unit}".rstrip() + ")" for c in self.checks
        )

    def explain(self) -> str:
        """One line a failed check, or one line that says that all is well."""
        if not self.failures:
            return "all checks passed"
        return "; ".join(
            f"{c.name} {c.value:.4g} {c.unit} is above {c.limit:.4g} {c.unit}: {c.reason}".replace(
                "  ", " "
            ).replace(" :", ":")
            for c in self.failures
        )


@dataclass(frozen=True)
class Residual:
    """Numbers of a residual image of the middle band.

    Attributes
    ----------
    field_peak_jy, field_noise_jy, facet_noise_jy : float
        Largest absolute pixel and noise of the whole image, and noise (rms) in the facet.
    """

    field_peak_jy: float
    field_noise_jy: float
    facet_noise_jy: float


def judge(
    before: Residual,
    after: Residual,
    dynamic_ranges: Sequence[float],
    flagged_fraction: float,
    *,
    skip: bool,
) -> Verdict:
    """Judge a self-calibration.

    Parameters
    ----------
    before, after : Residual
        The middle band's residual before and after the new model is subtracted.
    dynamic_ranges : sequence of float
        Of the calibrator's image: the first one, and the one that is kept.
    flagged_fraction : float
        Of all solutions.
    skip : bool
        Take it for good whatever the numbers say (they are still noted).
    """
    peak_limit = max(GOOD_PEAK_JY, PEAK_RISE * before.field_peak_jy)
    fall = dynamic_ranges[0] / max(dynamic_ranges[-1], 1e-9)
    values: Mapping[str, tuple[float, float, str, str]] = {
        "peak of the field's residual": (
            after.field_peak_jy, peak_limit, "Jy/beam",
            "the subtraction left a source that was not there before",
        ),
        "rise of the facet's residual": (
            after.facet_noise_jy / before.facet_noise_jy, FACET_RISE, "",
            "the new model fits the facet worse than the initial one",
        ),
        "rise of the field's noise": (
            after.field_noise_jy / before.field_noise_jy, FIELD_RISE, "",
            "the subtraction made the whole field noisier",
        ),
        "fall of the calibrator's dynamic range": (
            fall, 1.0 / DYNAMIC_RANGE_FALL, "",
            "the calibrator's image got worse during self-calibration",
        ),
        "flagged solutions": (
            flagged_fraction, FLAGGED, "",
            "too few solutions are left to trust the others",
        ),
    }  # fmt: skip
    checks = tuple(
        Check(name, value, limit, unit, bool(value <= limit), reason)
        for name, (value, limit, unit, reason) in values.items()
    )
    return Verdict(checks, skip)
