"""What the user wants flagged, with the real DP3."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from factor.errors import InputError
from factor.operations.visibilities.flagging import check_flags, data_flags
from factor.parset import Settings, load
from factor.tools import runner
from factor.tools.dp3 import DP3Run, dp3_command
from factor.tools.environment import Tools, find_tools
from tests.fakes.observation import write_parset


def _settings(folder: Path, observation: Path, **flags: str) -> Settings:
    given = {f"global__{name}": value for name, value in flags.items()}
    return load(write_parset(folder, observation, **given))


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"flag_freqrange": "[abc..def]", "flag_baseline": "[CS*]"}, "flag_freqrange = .*abc"),
        ({"flag_abstime": "[12-Mor-2010/11:31]"}, "flag_abstime = .*12-Mor"),
        (
            {"flag_baseline": "[CS*]", "flag_freqrange": "[1..2MHz]",
             "flag_expr": "(flag_baseline or flag_freqrange"},
            "flag_expr = .*parenthes",
        ),
    ],
)
def test_a_mistake_is_told_with_its_option(
    tmp_path: Path, observation: Path, tools: Tools, flags: dict[str, str], message: str
) -> None:
    """DP3 would find it after hours of chunking, and call it 's0'."""
    settings = _settings(tmp_path, observation, **flags)
    ms = min(observation.glob("*.ms"))
    with pytest.raises(InputError, match=f"(?s){message}"):
        check_flags(settings, tools, ms, "SUBTRACTED_DATA_ALL")


def test_good_options_flag(tmp_path: Path, observation: Path, tools: Tools) -> None:
    """All given selections together, unless the expression says otherwise; the input stays as it is."""
    from casacore.tables import table

    ms = min(observation.glob("*.ms"))
    flagged = {}
    for expression in ("", "flag_baseline or flag_freqrange"):
        flags = {"flag_baseline": "[CS002*]", "flag_freqrange": "[0..143MHz]", "flag_expr": expression}
        settings = _settings(tmp_path, observation, **flags)
        check_flags(settings, tools, ms, "SUBTRACTED_DATA_ALL")
        msout = tmp_path / "out.ms"
        run = DP3Run((ms,), "SUBTRACTED_DATA_ALL", data_flags(settings), msout, times=2)
        result = runner.run(dp3_command(tools, run), tmp_path / "out", tmp_path / "err")
        assert not result.error
        with table(str(msout), ack=False) as main:
            flagged[expression] = main.getcol("FLAG")
    with table(str(ms), ack=False) as main:
        before = main.getcol("FLAG", 0, len(flagged[""]))
    both, either = (found & ~before for found in flagged.values())
    assert 0 < np.count_nonzero(both) < np.count_nonzero(either)
    assert not np.any(both & ~either)
