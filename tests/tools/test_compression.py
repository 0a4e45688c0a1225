"""Compressed data, with the real tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from factor.tools import runner
from factor.tools.dp3 import DP3Run, dp3_command
from factor.tools.environment import find_tools
from factor.tools.wsclean import WSClean, wsclean_command
from tests.fakes.observation import make_observation


@pytest.fixture(scope="module")
def ms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measurement set of noise, with flags."""
    folder = tmp_path_factory.mktemp("observation") / "data"
    make_observation(folder)
    return min(folder.glob("*.ms"))


def test_casacore_and_wsclean_read_it(ms: Path, tmp_path: Path) -> None:
    """The same flags, data within a thousandth of their rms, and the same image."""
    from astropy.io import fits
    from casacore.tables import table

    tools, pictures, columns = find_tools(), [], []
    for compress in (False, True):
        msout = tmp_path / f"{compress}.ms"
        run = DP3Run((ms,), "SUBTRACTED_DATA_ALL", (), msout, compress=compress)
        assert not runner.run(dp3_command(tools, run), tmp_path / "out", tmp_path / "err").error
        with table(str(msout), ack=False) as main:
            columns.append([main.getcol(name) for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM")])
        options = WSClean(
            name=tmp_path / str(compress), size=128, scale_arcsec=10.0, robust=0.0, padding=1.2
        )
        command = wsclean_command(tools, options, [msout], threads=1, memory_gb=1.0)
        assert not runner.run(command, tmp_path / "out", tmp_path / "err").error
        pictures.append(fits.getdata(options.image))
    (data, flags, weights), (packed, packed_flags, packed_weights) = columns
    assert np.array_equal(flags, packed_flags)
    assert np.std((packed - data)[~flags]) < 1e-3 * np.std(data[~flags])
    np.testing.assert_allclose(packed_weights[~flags], weights[~flags], rtol=1e-3)
    assert np.std(pictures[1] - pictures[0]) < 1e-3 * np.std(pictures[0])
