"""Input that Factor can't work with is told, all of it, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor.errors import InputError
from factor.observation.bands import MsInfo
from factor.observation.checks import check_input

Make = Callable[..., MsInfo]
FREQS = tuple(140e6 + k * 0.1e6 for k in range(8))


def test_bands_by_frequency(make_info: Make, settings: SimpleNamespace) -> None:
    """Several nights of one frequency make one band; bands are sorted by frequency."""
    infos = [
        make_info("high.ms", 150e6),
        make_info("night2.ms", 140e6, start_s=86400),
        make_info("night1.ms", 140e6, flagged_fraction=0.3),
    ]
    check = check_input(infos, settings)
    names = [(band.name, [info.path.name for info in band.files]) for band in check.bands]
    assert names == [("Band_140.0MHz", ["night1.ms", "night2.ms"]), ("Band_150.0MHz", ["high.ms"])]
    assert check.bands[0].flagged_fraction == pytest.approx(0.2)
    assert check.warnings == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": ("UVW", "FLAG", "DATA")}, "missing column WEIGHT_SPECTRUM"),
        ({"columns": ("UVW", "FLAG", "WEIGHT_SPECTRUM")}, r"initsubtract\) is not available yet"),
        ({"antenna_set": "LBA_OUTER"}, "not LOFAR HBA"),
        ({"telescope": "VLA"}, "not LOFAR HBA"),
        ({"freqs_hz": tuple(f - 80e6 for f in FREQS)}, "not within LOFAR's HBA"),
        ({"all_zero": True}, "all data in SUBTRACTED_DATA_ALL are 0"),
        ({"n_spectral_windows": 2}, "2 spectral windows"),
        ({"freqs_hz": (*FREQS[:7], FREQS[7] + 0.1e6)}, r"frequency gaps.*140\.6000-140\.8000"),
        ({"freqs_hz": FREQS[:6]}, "6 channels, the other bands have 8"),
        ({"dec_deg": 52.0 + 1.5 / 3600}, r'phase centre 1\.5" from that of /data/b\.ms'),
        ({"interval_s": 4.0}, r"time slots of 4\.000 s"),
        ({"stations": ("CS001HBA0", "CS003HBA0")}, "only one of them has CS002HBA0, CS003HBA0, RS205HBA"),
        ({"n_baselines": 5}, "5 baselines"),
    ],
)
def test_problems_of_one_file(
    make_info: Make, settings: SimpleNamespace, changes: dict[str, Any], message: str
) -> None:
    """Each problem names the file that has it."""
    infos = [make_info("b.ms", 150e6), make_info("c.ms", 160e6), make_info("a.ms", 140.35e6, **changes)]
    with pytest.raises(InputError, match=message) as caught:
        check_input(infos, settings)
    assert any("/data/a.ms" in text for text in caught.value.problems)


def test_all_problems_at_once(make_info: Make, settings: SimpleNamespace) -> None:
    """A user corrects the input once, not once per problem."""
    infos = [
        make_info("a.ms", 140e6, telescope="VLA", columns=("UVW",)),
        make_info("b.ms", 150e6, dec_deg=53.0),
    ]
    settings.init_skymodels = {}
    with pytest.raises(InputError) as caught:
        check_input(infos, settings)
    assert len(caught.value.problems) == 6


def test_centre_within_an_arcsec(make_info: Make, settings: SimpleNamespace) -> None:
    """Rounding of coordinates by other pipelines is no problem."""
    infos = [make_info("a.ms", 140e6), make_info("b.ms", 150e6, ra_deg=217.5 + 1.5 / 3600)]
    assert len(check_input(infos, settings).bands) == 2


def test_same_times_twice(make_info: Make, settings: SimpleNamespace) -> None:
    """Two versions of one file in dir_ms would count twice."""
    with pytest.raises(InputError, match=r"copy\.ms: same frequency and times as /data/a\.ms"):
        check_input([make_info("a.ms"), make_info("copy.ms")], settings)


def test_overlapping_bands(make_info: Make, settings: SimpleNamespace) -> None:
    """Bands that share channels would solve and image them twice; touching ones are usual."""
    assert len(check_input([make_info("a.ms"), make_info("b.ms", 140.8e6)], settings).bands) == 2
    with pytest.raises(InputError, match=r"b\.ms: its frequencies.*overlap those of /data/a\.ms"):
        check_input([make_info("a.ms"), make_info("b.ms", 140.6e6)], settings)


def test_bad_band(make_info: Make, settings: SimpleNamespace) -> None:
    """A band with too few unflagged data is skipped with a warning, or ends the run."""
    infos = [make_info("a.ms"), make_info("b.ms", 150e6, flagged_fraction=0.6)]
    check = check_input(infos, settings)
    assert [band.name for band in check.bands] == ["Band_140.0MHz"]
    assert "/data/b.ms" in check.warnings[0]
    assert "0.400" in check.warnings[0]
    settings.globals.exit_on_bad_band = True
    with pytest.raises(InputError, match="exit_on_bad_band"):
        check_input(infos, settings)
    settings.globals.exit_on_bad_band = False
    settings.globals.min_fraction_per_band = 0.95
    with pytest.raises(InputError, match="no band is left"):
        check_input(infos, settings)
    settings.globals.min_fraction_per_band = 0.0
    infos[0] = make_info("a.ms", flagged_fraction=1.0)
    assert [band.name for band in check_input(infos, settings).bands] == ["Band_150.0MHz"]


def test_few_divisors(make_info: Make, settings: SimpleNamespace) -> None:
    """A prime number of channels can't be averaged well: said, but no error."""
    freqs = FREQS[:7]
    warnings = check_input([make_info("a.ms", freqs_hz=freqs)], settings).warnings
    assert len(warnings) == 1
    assert "7 channels" in warnings[0]


def test_sky_model_by_name_or_extension(
    make_info: Make, settings: SimpleNamespace, tmp_path: Path
) -> None:
    """One file of a band is enough, named in the parset or lying beside it."""
    model = tmp_path / "mine.skymodel"
    model.write_text("# (Name, Type, Ra, Dec, I) = format\ns, POINT, 1:0:0, 2.0.0, 1\n")
    first = make_info("a.ms", path=tmp_path / "a.ms")
    second = make_info("b.ms", start_s=86400, path=tmp_path / "b.ms")
    settings.init_skymodels = {"b.ms": model, "c.ms": model}
    checked = check_input([first, second], settings)
    assert checked.bands[0].skymodel == model
    assert ["[c.ms]: there is no measurement set of this name" in text for text in checked.warnings] == [True]
    settings.init_skymodels = {}
    with pytest.raises(InputError, match=r"Band_140.0MHz: no sky model.*a\.merge.*b\.merge"):
        check_input([first, second], settings)
    beside = tmp_path / "b.merge"
    beside.write_text(model.read_text())
    assert check_input([first, second], settings).bands[0].skymodel == beside


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no line 'format"), ("FORMAT = Name, Type\n", "holds no source"), (None, "can't be read")],
)
def test_unusable_sky_model(
    make_info: Make, settings: SimpleNamespace, tmp_path: Path, text: str | None, message: str
) -> None:
    """An empty or missing model is found before hours of work."""
    model = tmp_path / "mine.skymodel"
    if text is not None:
        model.write_text(text)
    settings.init_skymodels = {"a.ms": model}
    with pytest.raises(InputError, match=message):
        check_input([make_info("a.ms")], settings)
