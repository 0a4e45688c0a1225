"""The directions file."""

from __future__ import annotations

from pathlib import Path

import pytest

from factor.directions.file import format_position, read_directions, write_directions
from factor.directions.model import Direction
from factor.errors import InputError

ROW = "s1 14h41m01.884,+35d30m31.52 empty True 512 1 30 LD empty empty empty False 0.01 2400\n"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "directions.txt"
    path.write_text(text)
    return path


def test_one_line(tmp_path: Path) -> None:
    """A file of one line is a whole file."""
    (direction,) = read_directions(_file(tmp_path, ROW))
    assert direction.name == "s1"
    assert direction.ra_deg == pytest.approx(15 * (14 + 41 / 60 + 1.884 / 3600))
    assert direction.dec_deg == pytest.approx(35 + 30 / 60 + 31.52 / 3600)
    assert direction.mscale_selfcal is None
    assert direction.mscale_facet is True
    assert (direction.cal_imsize, direction.solint_fast, direction.solint_slow) == (512, 1, 30)
    assert (direction.cal_size_deg, direction.cal_flux_jy) == (0.01, 2.4)


def test_twelve_columns_and_comments(tmp_path: Path) -> None:
    """The last two columns may be absent, and a column header and comments are no rows."""
    text = "# name position atrous_do\nname position\n\n" + ROW.replace(" 0.01 2400", "  # the bright one")
    (direction,) = read_directions(_file(tmp_path, text))
    assert direction.cal_size_deg is None
    assert direction.cal_flux_jy is None


def test_small_negative_declination(tmp_path: Path) -> None:
    """The sign of -00d30m is not lost."""
    (direction,) = read_directions(_file(tmp_path, ROW.replace("+35d30m31.52", "-00d30m00.0")))
    assert direction.dec_deg == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("old", "new", "column"),
    [
        ("14h41m", "25h41m", "position"),
        ("14h41m", "14h61m", "position"),
        ("+35d", "+91d", "position"),
        (",+35", ";+35", "position"),
        ("s1 ", "s/1 ", "name"),
        ("s1 ", "field ", "name"),
        ("empty True", "maybe True", "mscale_selfcal_do"),
        ("512", "5.5", "cal_imsize"),
        (" 1 30", " -1 30", "solint_ph"),
        ("LD", "XD", "dynamic_range"),
        ("LD empty", "LD mask.rgn", "region_selfcal"),
        ("empty False", "no.skymodel False", "peel_skymodel"),
        ("0.01", "nan", "cal_size_deg"),
        ("2400", "bright", "cal_flux_mjy"),
        ("512", "0", "cal_imsize"),
        ("False 0.01 2400", "", "11 columns"),
    ],
)
def test_each_mistake_names_line_and_column(tmp_path: Path, old: str, new: str, column: str) -> None:
    """A direction is never dropped silently: the message leads to the very word."""
    row = ROW.replace(old, new, 1)
    if (old, new) == ("512", "0"):
        row = row.replace("0.01", "0")
    with pytest.raises(InputError, match=column) as error:
        read_directions(_file(tmp_path, "# a comment\n" + row))
    assert "line 2" in str(error.value)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """The user corrects a file once, not once per mistake."""
    text = ROW + ROW + ROW.replace("s1", "s2").replace("14h", "44h").replace("LD", "XX")
    with pytest.raises(InputError) as error:
        read_directions(_file(tmp_path, text))
    assert len(error.value.problems) == 3
    assert "line 1 already" in error.value.problems[0]


def test_missing_and_empty_files(tmp_path: Path) -> None:
    """Neither a missing nor an empty file gives a run without directions."""
    with pytest.raises(InputError, match="cannot be read"):
        read_directions(tmp_path / "none.txt")
    with pytest.raises(InputError, match="no directions"):
        read_directions(_file(tmp_path, "# nothing\n"))


def test_masks_are_found_beside_the_file(tmp_path: Path) -> None:
    """A relative path counts from the directions file."""
    (tmp_path / "mask.rgn").write_text("")
    (direction,) = read_directions(_file(tmp_path, ROW.replace("LD empty", "LD mask.rgn")))
    assert direction.region_selfcal == str(tmp_path / "mask.rgn")


def test_round_trip(tmp_path: Path) -> None:
    """What Factor writes it reads back: users edit that file and give it in again."""
    (tmp_path / "a.skymodel").write_text("")
    directions = (
        Direction("a", 359.99999, -0.25, cal_size_deg=0.05, cal_flux_jy=1.5),
        Direction("b.2", 10.5, 80.0, True, False, 512, 2, 30, "HD", is_outlier=True),
        Direction("c", 0.0, 0.0, cal_size_deg=0.1, peel_skymodel=str(tmp_path / "a.skymodel")),
    )
    path = tmp_path / "out.txt"
    write_directions(directions, path)
    back = read_directions(path)
    for old, new in zip(directions, back, strict=True):
        assert new.ra_deg == pytest.approx(old.ra_deg, abs=3e-6)
        assert new.dec_deg == pytest.approx(old.dec_deg, abs=2e-6)
        assert (new.mscale_facet, new.is_outlier, new.peel_skymodel) == (
            old.mscale_facet,
            old.is_outlier,
            old.peel_skymodel,
        )
        assert (new.cal_size_deg, new.cal_flux_jy, new.dynamic_range) == (
            old.cal_size_deg,
            old.cal_flux_jy,
            old.dynamic_range,
        )
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []


def test_positions_are_rounded_with_carry() -> None:
    """59.9999 seconds become a full minute, not 60 seconds."""
    assert format_position(359.9999999, -59.99999999) == "00h00m00.000s,-60d00m00.00s"


@pytest.mark.parametrize(
    "name", ["factor_examples_directions.txt", "factor_examples_directions_c28f4e20d.txt"]
)
def test_examples_of_both_generations(real_data: Path, tmp_path: Path, name: str) -> None:
    """Users' files of both generations are read; their examples' flaws are all named."""
    text = (real_data / "directions" / name).read_text()
    with pytest.raises(InputError) as error:
        read_directions(_file(tmp_path, text))
    assert len(error.value.problems) == 3
    assert "peel_skymodel" in error.value.problems[0]
    assert "region_facet" in error.value.problems[1]
    assert "1 columns" in error.value.problems[2]
    clean = text.replace("/full/path/to/s1.skymodel", "empty").replace("/full/path/to/s25.rgn", "0")
    directions = read_directions(_file(tmp_path, clean.replace("\n...", "\n")))
    assert [d.name for d in directions] == ["s1", "s2", "s25"]
    assert directions[2].cal_flux_jy == pytest.approx(1.02)
