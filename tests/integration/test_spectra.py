"""Rule 8 with the real DP3 and WSClean: the spectra of models are right at the edges of the band."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from factor.products.images.image import SkyGrid, write_image
from factor.products.models.skymodel import flux_at, read
from factor.products.models.spectra import with_initial_spectra
from factor.tools.dp3 import DP3Run, Predict, dp3_command
from factor.tools.environment import find_tools
from factor.tools.wsclean import WSClean, wsclean_command
from factor.tuning.images import spectral_setup
from tests.fakes.observation import OPTIONS, make_observation

pytestmark = pytest.mark.tools

INDEX = -0.8


@pytest.fixture(scope="module")
def one_band(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small measurement set."""
    folder = tmp_path_factory.mktemp("spectra") / "data"
    make_observation(folder)
    return sorted(folder.glob("*.ms"))[0]


@pytest.mark.parametrize("middles_mhz", [(144.0,), (132.0, 156.0), (122.0, 133.0, 144.0, 155.0, 166.0)])
def test_edges_of_the_band(one_band: Path, tmp_path: Path, middles_mhz: tuple[float, ...]) -> None:
    """A source of index -0.8 is modelled within 1 % in every channel, with one band or many."""
    from casacore.tables import table

    tools = find_tools()
    sky = tmp_path / "truth.skymodel"
    sky.write_text(
        "FORMAT = Name, Type, Ra, Dec, I, ReferenceFrequency='144e6', SpectralIndex='[]', LogarithmicSI\n"
        f"s, POINT, {OPTIONS.ra_deg / 15:.6f}h, {OPTIONS.dec_deg:.6f}deg, 2.0, , [{INDEX}], true\n"
    )
    sets, freqs = [], []
    for middle in middles_mhz:
        ms = tmp_path / f"in{middle:.0f}.ms"
        shutil.copytree(one_band, ms)
        with table(f"{ms}::SPECTRAL_WINDOW", readonly=False, ack=False) as window:
            channels = 1e6 * (middle + np.array([-0.75, -0.25, 0.25, 0.75]))
            window.putcell("CHAN_FREQ", 0, channels)
        freqs.append(channels)
        sets.append(tmp_path / f"band{middle:.0f}.ms")
        run = dp3_command(tools, DP3Run((ms,), "SUBTRACTED_DATA_ALL", (Predict(sky, "replace"),), sets[-1]))
        subprocess.run(run.full_argv, check=True, capture_output=True)
    count, terms = spectral_setup([1e6 * middle for middle in middles_mhz], 4)
    options = WSClean(
        name=tmp_path / "image", size=256, scale_arcsec=6.0, padding=1.2, niter=2000, auto_threshold=1.0,
        channels_out=count, spectral_terms=terms, save_source_list=True, fits_mask=tmp_path / "mask.fits",
    )
    grid = SkyGrid(OPTIONS.ra_deg, OPTIONS.dec_deg, options.size, options.size, options.scale_arcsec)
    around = np.zeros(grid.shape, dtype=np.float32)
    around[127:130, 127:130] = 1.0
    write_image(tmp_path / "mask.fits", around, grid.header(144e6))
    command = wsclean_command(tools, options, sets, threads=1, memory_gb=2.0)
    subprocess.run(command.full_argv, check=True, capture_output=True)
    model = with_initial_spectra(read(options.source_list), [sky])
    every = np.concatenate(freqs)
    found = np.array([flux_at(model, freq).sum() for freq in every])
    assert found == pytest.approx(2.0 * (every / 144e6) ** INDEX, rel=0.01)
