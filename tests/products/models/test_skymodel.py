"""Sky models as files and as values."""

from __future__ import annotations

import gzip
import logging
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from factor.errors import InputError
from factor.products.models import skymodel
from factor.products.models.skymodel import Components
from factor.tools import dp3, environment, runner

WSCLEAN = """\
Format = Name, Type, Ra, Dec, I, SpectralIndex, LogarithmicSI, ReferenceFrequency='144e6', \
MajorAxis, MinorAxis, Orientation
s0c0,POINT,-06:43:21.08,53.35.14.76,0.025,[0.16,-8.08],false,143e6,,,
s0c1,GAUSSIAN,00:00:00.1,-00.30.00.5,-0.0021,[-0.7],true,,30.5,20.25,45
s0c2,POINT,12:00:00,10.00.00,1.5,[],false,143e6,,,
"""


def _file(tmp_path: Path, text: str, name: str = "band.merge") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def _random(rng: np.random.Generator, n: int) -> Components:
    points = skymodel.point_components(
        rng.uniform(0, 360, n), rng.uniform(-90, 90, n), rng.normal(0, 1, n), 1e8
    )
    return replace(
        points,
        spectral_index=rng.normal(0, 1, (n, 2)),
        logarithmic_si=rng.random(n) < 0.5,
        reference_freq_hz=rng.uniform(1e8, 2e8, n),
    )


def test_wsclean_source_list(tmp_path: Path) -> None:
    """What WSClean writes is read with its empty fields and negative hours, whatever the name."""
    model = skymodel.read(_file(tmp_path, WSCLEAN))
    assert model.name.tolist() == ["s0c0", "s0c1", "s0c2"]
    assert model.ra_deg[0] == pytest.approx(360 - 15 * (6 + 43 / 60 + 21.08 / 3600))
    assert model.dec_deg[1] == pytest.approx(-(0.5 + 0.5 / 3600))
    assert model.logarithmic_si.tolist() == [False, True, False]
    assert model.reference_freq_hz.tolist() == [143e6, 144e6, 143e6]
    assert model.spectral_index.tolist() == [[0.16, -8.08], [-0.7, 0.0], [0.0, 0.0]]
    assert model.major_arcsec.tolist() == [0.0, 30.5, 0.0]
    assert not model.patch.any()


def test_patches_and_absent_columns(tmp_path: Path) -> None:
    """A model with patches and few columns is a model."""
    text = "# (Name, Type, Patch, Ra, Dec, I) = format\n , , p1, 1:00:00, +10.00.00\n"
    text += "a, POINT, p1, 1:0:0, +10.0.0, 2\n"
    model = skymodel.read(_file(tmp_path, text))
    assert (model.patch.tolist(), model.flux_jy.tolist()) == (["p1"], [2.0])
    assert skymodel.flux_at(model, 150e6).tolist() == [2.0]


def test_reading_leaves_the_log_alone(tmp_path: Path) -> None:
    """LSMTool must not print on the user's screen or change Factor's logging."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    skymodel.read(_file(tmp_path, WSCLEAN))
    assert (list(root.handlers), root.level) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing here\n", "makesourcedb"),
        (WSCLEAN.replace("12:00:00,10.00.00", "noon,10"), "makesourcedb"),
        (WSCLEAN.replace("GAUSSIAN", "SHAPELET"), "SHAPELET"),
        (WSCLEAN.replace("='144e6'", ""), "reference frequency: s0c1"),
        ("Format = Name, Type, Ra, Dec, I, Q\na, POINT, 1:0:0, 1.0.0, 1, 0.1\n", "Stokes Q"),
    ],
)
def test_wrong_models_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """What would be lost or misread is an error that names the file."""
    with pytest.raises(InputError, match=message) as error:
        skymodel.read(_file(tmp_path, text))
    assert "band.merge" in str(error.value)


def test_missing_model(tmp_path: Path) -> None:
    """A missing file is told as such."""
    with pytest.raises(InputError, match="does not exist"):
        skymodel.read(tmp_path / "none.merge")


def test_round_trip(tmp_path: Path) -> None:
    """Nothing is lost by writing and reading: fluxes exactly, positions to microarcseconds."""
    model = _random(np.random.default_rng(1), 200)
    path = tmp_path / "m.skymodel"
    skymodel.write(model, path, patch="facet")
    back = skymodel.read(path)
    assert np.all(back.patch == "facet")
    assert np.array_equal(back.flux_jy, model.flux_jy)
    assert np.array_equal(back.spectral_index, model.spectral_index)
    assert np.array_equal(back.logarithmic_si, model.logarithmic_si)
    assert np.array_equal(back.reference_freq_hz, model.reference_freq_hz)
    turn = (back.ra_deg - model.ra_deg + 180) % 360 - 180
    assert np.abs(turn).max() < 1e-8
    assert np.abs(back.dec_deg - model.dec_deg).max() < 1e-8
    assert [p.name for p in tmp_path.iterdir()] == ["m.skymodel"]


def test_write_refuses_what_dp3_refuses(tmp_path: Path) -> None:
    """DP3 knows text models by their extension, and sources by their names."""
    model = _random(np.random.default_rng(1), 2)
    with pytest.raises(ValueError, match="skymodel"):
        skymodel.write(model, tmp_path / "m.merge")


def test_flux_at_both_kinds_of_spectra() -> None:
    """The polynomials are those of WSClean: of log10 (x), or of x - 1."""
    model = skymodel.point_components(np.zeros(2), np.zeros(2), np.array([2.0, 2.0]), 100e6)
    model = replace(
        model,
        spectral_index=np.array([[-0.8, 0.1], [-0.8, 0.1]]),
        logarithmic_si=np.array([True, False]),
    )
    assert np.array_equal(skymodel.flux_at(model, 100e6), [2.0, 2.0])
    expected = [2.0 * 1.5 ** (-0.8 + 0.1 * np.log10(1.5)), 2.0 - 0.8 * 0.5 + 0.1 * 0.25]
    assert skymodel.flux_at(model, 150e6) == pytest.approx(expected)


def test_select_and_concatenate() -> None:
    """Parts put together again are the whole, with spectra of different lengths."""
    rng = np.random.default_rng(2)
    model = _random(rng, 10)
    flat = skymodel.point_components(np.zeros(3), np.zeros(3), np.ones(3), 1e8)
    joined = skymodel.concatenate([model, flat])
    assert np.array_equal(skymodel.select(joined, np.arange(10)).spectral_index, model.spectral_index)
    assert skymodel.flux_at(joined, 1.7e8)[10:].tolist() == [1.0, 1.0, 1.0]
    assert len(skymodel.concatenate([])) == 0
    assert len(skymodel.select(joined, np.zeros(13, dtype=bool))) == 0


@pytest.mark.parametrize(
    "name", ["lsmtool_sector_1-sources-pb.txt.gz", "lsmtool_expected.apparent_sky.txt.gz"]
)
def test_real_models(real_data: Path, tmp_path: Path, name: str) -> None:
    """Models of a real field are read, written and read again without loss."""
    text = gzip.decompress((real_data / "sky" / name).read_bytes()).decode()
    path = _file(tmp_path, "\n".join(text.splitlines()[:1000]))
    model = skymodel.read(path)
    skymodel.write(model, tmp_path / "again.skymodel")
    again = skymodel.read(tmp_path / "again.skymodel")
    assert again.flux_jy.sum() == pytest.approx(model.flux_jy.sum())
    order, back = np.argsort(model.name), np.argsort(again.name)
    assert np.allclose(model.dec_deg[order], again.dec_deg[back], atol=1e-8)


@pytest.mark.tools
def test_dp3_predicts_what_is_written(real_data: Path, tmp_path: Path) -> None:
    """DP3 takes fluxes, both kinds of spectra and positions (small negative Dec) as we mean them."""
    environment.prepare()
    from casacore import tables

    with tarfile.open(real_data / "ms" / "3C48_L114220_tNDPPP-generic.MS.tgz") as archive:
        archive.extractall(tmp_path, filter="data")
    ms = next(tmp_path.glob("*.MS"))
    with tables.table(f"{ms}::FIELD", ack=False) as table:
        ra0, dec0 = np.rad2deg(table.getcol("PHASE_DIR")[0, 0])
    model = skymodel.point_components(
        np.array([ra0, ra0, ra0 + 1.0]), np.array([dec0, dec0, -0.25]), np.array([2.0, 1.0, 0.5]), 140e6
    )
    model = replace(
        model,
        spectral_index=np.array([[-0.7, 0.3], [-3.0, 5.0], [0.0, 0.0]]),
        logarithmic_si=np.array([True, False, True]),
        reference_freq_hz=np.array([90e6, 100e6, 140e6]),
    )
    skymodel.write(model, tmp_path / "m.skymodel", patch="all")
    predict = dp3.Predict(tmp_path / "m.skymodel", "replace")
    out = tmp_path / "out.ms"
    command = dp3.dp3_command(environment.find_tools(), dp3.DP3Run((ms,), "DATA", (predict,), out))
    result = runner.run(command, tmp_path / "out.log", tmp_path / "err.log")
    assert not result.error, result.error
    with tables.table(f"{out}::SPECTRAL_WINDOW", ack=False) as table:
        freq = table.getcol("CHAN_FREQ")[0]
    with tables.table(str(out), ack=False) as table:
        data, uvw = table.getcol("DATA")[:, :, 0], table.getcol("UVW")
    flux = np.array([skymodel.flux_at(model, f) for f in freq])
    dec, dec_0, turn = np.deg2rad(-0.25), np.deg2rad(dec0), np.deg2rad(1.0)
    lmn = [
        np.cos(dec) * np.sin(turn),
        np.sin(dec) * np.cos(dec_0) - np.cos(dec) * np.sin(dec_0) * np.cos(turn),
        np.sin(dec) * np.sin(dec_0) + np.cos(dec) * np.cos(dec_0) * np.cos(turn) - 1.0,
    ]
    phase = 2 * np.pi * (uvw @ lmn)[:, None] * freq / 299792458.0
    expected = flux[:, 0] + flux[:, 1] + flux[:, 2] * np.exp(1j * phase)
    assert np.abs(data - expected).max() < 1e-4
