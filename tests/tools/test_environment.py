"""Users set nothing by hand, and what they did set comes first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from factor.errors import InputError
from factor.tools import environment

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _uncached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test sees a user of its own."""
    environment._additions.cache_clear()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("CASARCFILES", "EVERYBEAM_DATADIR", "FACTOR_DP3", "FACTOR_WSCLEAN"):
        monkeypatch.delenv(name, raising=False)
    yield
    monkeypatch.undo()
    environment._additions.cache_clear()


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_openblas_has_one_thread() -> None:
    """DP3 refuses to start otherwise."""
    assert environment.tool_environment()["OPENBLAS_NUM_THREADS"] == "1"


def test_measures_are_found() -> None:
    """The wheel of casacore brings its tables; casacore must be led there."""
    casarc = Path(environment.tool_environment()["CASARCFILES"])
    folder = casarc.read_text().split("measures.directory:")[1].strip()
    assert Path(folder).is_dir()


def test_installations_do_not_share_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A second installation, deleted later, must not take the measures data from a run of the first."""
    first = Path(environment.tool_environment()["CASARCFILES"])
    before = first.read_text()
    environment._additions.cache_clear()
    (tmp_path / "casacore" / "data").mkdir(parents=True)
    monkeypatch.setattr(environment, "_package_folder", lambda name: tmp_path / name)
    second = Path(environment.tool_environment()["CASARCFILES"])
    assert str(tmp_path / "casacore" / "data") in second.read_text()
    assert first.read_text() == before


def test_users_own_measures_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Somebody who keeps their measures up to date is not given older ones."""
    own = tmp_path / "my casarc"
    own.with_name("casarc").write_text("measures.directory: /data/measures\n")
    monkeypatch.setenv("CASARCFILES", str(own.with_name("casarc")))
    assert "CASARCFILES" not in environment.tool_environment()


def test_users_other_settings_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A casarc without measures keeps what it says."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".casarc").write_text("logger.level: 3")
    text = Path(environment.tool_environment()["CASARCFILES"]).read_text()
    assert "logger.level: 3\n" in text
    assert "measures.directory" in text


def test_users_coefficients_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """EveryBeam's own variable comes first."""
    monkeypatch.setenv("EVERYBEAM_DATADIR", "/data/everybeam")
    assert "EVERYBEAM_DATADIR" not in environment.tool_environment()


def test_home_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """On batch nodes home may be missing: another folder serves."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    casarc = Path(environment.tool_environment()["CASARCFILES"])
    assert "measures.directory" in casarc.read_text()


def test_measures_work_in_a_bare_environment(tmp_path: Path) -> None:
    """After prepare() casacore converts times, with nothing set by hand."""
    code = (
        "from factor.tools.environment import prepare\n"
        "prepare()\n"
        "from casacore.measures import measures\n"
        "m = measures()\n"
        "day = m.epoch('UTC', {'value': 59000.0, 'unit': 'd'})\n"
        "print(repr(m.measure(day, 'TAI')['m0']['value']))\n"
    )
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stderr
    assert float(shown.stdout) == pytest.approx(59000 + 37 / 86400, abs=1e-7)


def test_missing_tools_are_told_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One message for both, with what was looked for and what to do; exit status 2."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(InputError) as caught:
        environment.find_tools()
    assert len(caught.value.problems) == 2
    dp3, wsclean = caught.value.problems
    assert "DP3.py" in dp3
    assert "FACTOR_DP3" in dp3
    assert "FACTOR_WSCLEAN" in wsclean
    assert caught.value.exit_status == 2


def test_variables_name_other_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user's own build is used, by path or by name."""
    own = program(tmp_path / "my tools" / "DP3-devel")
    program(tmp_path / "bin" / "wsclean-mine")
    monkeypatch.setenv("FACTOR_DP3", str(own))
    monkeypatch.setenv("FACTOR_WSCLEAN", "wsclean-mine")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    tools = environment.find_tools()
    assert tools.dp3 == own
    assert tools.wsclean == tmp_path / "bin" / "wsclean-mine"


def test_named_program_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A misspelt variable is an error, and another program is not taken instead."""
    monkeypatch.setenv("FACTOR_DP3", str(tmp_path / "nowhere"))
    program(tmp_path / "bin" / "DP3")
    program(tmp_path / "bin" / "wsclean")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputError, match="nowhere"):
        environment.find_tools()


@pytest.mark.parametrize("name", environment.DP3_NAMES)
def test_names_of_dp3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Clusters call it DP3 or DPPP, the wheel DP3.py."""
    program(tmp_path / "bin" / name)
    program(tmp_path / "bin" / "wsclean")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert environment.find_tools().dp3 == tmp_path / "bin" / name


def test_tools_beside_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A virtual environment that is not activated has its DP3 beside its Python."""
    program(tmp_path / "venv" / "bin" / "DP3.py")
    program(tmp_path / "bin" / "wsclean")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    assert environment.find_tools().dp3 == tmp_path / "venv" / "bin" / "DP3.py"
