"""The verdict on a calibration: numbers against limits, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from factor.parset.settings import VerdictSettings


@dataclass(frozen=True)
class Criterion:
    """What is measured, and which option of the parset limits it.

    Attributes
    ----------
    name : str
        For a person, e.g. ``rise of the facet's residual``.
    option : str
        The option in the section ``[verdict]``, in lower case: the largest value that passes.
    unit : str
        Of value and limit; empty for a ratio.
    reason : str
        What a value above the limit means.
    look : str
        Ending of the names of the products that show it.
    """

    name: str
    option: str
    unit: str
    reason: str
    look: str


_CYCLES = "wsclean_image*.png"
_FACET = "image_full.png"
_AFTER = "wsclean_post-image.png"
_PHASES = "make_selfcal_plots_fast_phase.png"
_GAINS = "make_selfcal_plots_slow_amplitude.png"

#: Everything that can be measured, by the key of its value.
CRITERIA: Mapping[str, Criterion] = {
    "field_peak_rise": Criterion(
        "rise of the field's peak", "max_field_peak_rise", "",
        "the subtraction left a source that was not there before", _AFTER),
    "facet_residual_rise": Criterion(
        "rise of the facet's residual", "max_facet_residual_rise", "",
        "the new model fits the facet worse than the initial one", _AFTER),
    "moved_residual_rise": Criterion(
        "rise of the residual of a facet that has changed much", "max_moved_residual_rise", "",
        "the model has moved, or another flux, and fits no better for it", _AFTER),
    "field_noise_rise": Criterion(
        "rise of the field's noise", "max_field_noise_rise", "",
        "the subtraction made the whole field noisier", _AFTER),
    "noise_rise": Criterion(
        "rise of the calibrator's noise", "max_noise_rise", "",
        "the calibrator's image is noisier than before its self-calibration", _CYCLES),
    "peak_fall": Criterion(
        "fall of the calibrator's peak", "max_peak_fall", "",
        "the solutions defocus the calibrator", _CYCLES),
    "dynamic_range_fall": Criterion(
        "fall of the calibrator's dynamic range", "max_dynamic_range_fall", "",
        "the calibrator's image got worse during self-calibration", _CYCLES),
    "divergence": Criterion(
        "fall of the dynamic range in the last cycles", "max_divergence", "",
        "the cycles diverge instead of settling", _CYCLES),
    "flux_change": Criterion(
        "change of the calibrator's flux", "max_flux_change", "",
        "the calibrator lost its flux, or took up what is not its own", _CYCLES),
    "position_shift_beams": Criterion(
        "shift of the calibrator", "max_position_shift_beams", "beams",
        "the solutions move the calibrator, and with it all sources of its facet", _CYCLES),
    "source_shift_arcsec": Criterion(
        "shift of the facet's sources", "max_source_shift_arcsec",
        "arcsec", "the facet's sources are dragged along, or misplaced in the initial model", _FACET),
    "noise_over_expected": Criterion(
        "noise of the calibrator's image over the expected", "max_noise_over_expected", "",
        "errors of the calibration, or of its surroundings, swamp the thermal noise", _CYCLES),
    "facet_noise_over_expected": Criterion(
        "noise of the facet's image over the expected", "max_noise_over_expected", "",
        "errors of the calibration swamp the thermal noise", _FACET),
    "flagged": Criterion(
        "flagged solutions", "max_flagged_fraction", "",
        "too few solutions are left to trust the others", _PHASES),
    "phase_scatter_rad": Criterion(
        "scatter of the phases", "max_phase_scatter_rad", "rad",
        "the phases follow the noise: the calibrator is too faint for its interval", _PHASES),
    "gain_scatter": Criterion(
        "scatter of the slow gains", "max_gain_scatter", "",
        "the amplitudes follow the noise", _GAINS),
    "bad_stations": Criterion(
        "fraction of bad stations", "max_bad_stations", "",
        "too many stations have no solutions, or random ones", _PHASES),
}  # fmt: skip

#: Changes beyond which the facet's residual must get better; half of what passes at all.
LARGE_CHANGES = {"flux_change": 1.5, "source_shift_arcsec": 2.0}


@dataclass(frozen=True)
class Check:
    """One number of a verdict.

    Attributes
    ----------
    key : str
        Which of the `CRITERIA`.
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
    look : str
        Ending of the names of the products that show it.
    option : str
        The option of the parset that limits it.
    """

    key: str
    name: str
    value: float
    limit: float
    unit: str
    passed: bool
    reason: str
    look: str
    option: str

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        option = f" ({self.option})" if self.option else ""
        # The state keeps one null for all that is no number.
        found = f"{self.value:.4g}{unit} is above"
        if not math.isfinite(self.value):
            found = "is no number, its limit is"
        return f"{self.name} {found} {self.limit:.4g}{unit}{option}: {self.reason}"


@dataclass(frozen=True)
class Verdict:
    """All checks on one calibration."""

    checks: tuple[Check, ...]
    skipped: bool = False
    """Whether the user asked to take every calibration for a success."""

    @property
    def good(self) -> bool:
        return self.skipped or all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    @property
    def values(self) -> dict[str, float]:
        """What was measured, by key."""
        return {check.key: check.value for check in self.checks}

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
        names = [field.name for field in fields(Check)]
        checks = []
        for found in content["checks"]:
            # A value that is no number is kept as null.
            value = math.nan if found["value"] is None else found["value"]
            checks.append(Check(**{**{name: found.get(name, "") for name in names}, "value": value}))
        return cls(tuple(checks), bool(content["skipped"]))

    def again(self, limits: VerdictSettings, *, skip: bool) -> Verdict:
        """The same values judged by other limits; what is no longer judged stays as it was."""
        judged = {check.key: check for check in judge(self.values, limits, skip=skip).checks}
        return Verdict(tuple(judged.get(check.key, check) for check in self.checks), skip)

    def numbers(self, count: int | None = None) -> str:
        """What was measured, with the limits, on one line: all, or those that are nearest to their limits."""
        nearest = sorted(self.checks, key=_closeness, reverse=True)
        return ", ".join(
            f"{c.name} {c.value:.3g} (at most {c.limit:.3g} {c.unit}".rstrip() + ")" for c in nearest[:count]
        )

    def explain(self) -> str:
        """The failed checks, or that there are none."""
        if not self.failures:
            return "all checks passed"
        return "; ".join(str(check) for check in self.failures)


def _closeness(check: Check) -> float:
    """How near a value is to its limit: 1 at it, more above; what is no number comes first."""
    if math.isnan(check.value):
        return math.inf
    return check.value / check.limit if check.limit else 0.0


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


def residual_values(before: Residual, after: Residual) -> dict[str, float]:
    """What the residual images say of a subtraction.

    Parameters
    ----------
    before, after : Residual
        The middle band's residual before and after the new model is subtracted.
    """
    return {
        "field_peak_rise": after.field_peak_jy / before.field_peak_jy,
        "facet_residual_rise": after.facet_noise_jy / before.facet_noise_jy,
        "field_noise_rise": after.field_noise_jy / before.field_noise_jy,
    }


def moved_values(values: Mapping[str, float]) -> dict[str, float]:
    """The rise of the facet's residual once more, where flux or positions have changed much."""
    moved = any(not values[key] <= large for key, large in LARGE_CHANGES.items() if key in values)
    return {"moved_residual_rise": values["facet_residual_rise"]} if moved else {}


def judge(values: Mapping[str, float], limits: VerdictSettings, *, skip: bool) -> Verdict:
    """Hold what was measured against the limits.

    Parameters
    ----------
    values : mapping of str to float
        By the keys of `CRITERIA`; what was not measured is not judged. A value that is not
        a number fails.
    limits : VerdictSettings
        Of the parset.
    skip : bool
        Take it for good whatever the numbers say (they are still noted).
    """
    checks = []
    for key, criterion in CRITERIA.items():
        if key in values:
            limit = float(getattr(limits, criterion.option))
            passed = bool(values[key] <= limit)
            checks.append(
                Check(
                    key, criterion.name, float(values[key]), limit, criterion.unit, passed,
                    criterion.reason, criterion.look, criterion.option,
                )
            )  # fmt: skip
    return Verdict(tuple(checks), skip)
