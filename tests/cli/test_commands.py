"""The commands: options, messages and exit status as promised to users."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from factor import log
from factor.cli import archived, archivefactor, common, runfactor, unarchivefactor
from factor.errors import FactorError, InputError
from factor.parset import Settings
from factor.tools.versions import factor_version

CHECKOUT = Path(__file__).parents[2]
COMMANDS = {
    "runfactor": ("-d", "-q", "-v", "--reset", "--ops", "--stop_after", "-t", "--check", "--undo"),
    "checkfactor": ("-f", "--text", "--json", "--html", "--watch"),
    "archivefactor": ("--directions", "--resumable", "--clobber"),
    "unarchivefactor": ("--symlink", "--clobber"),
}
PARSET = (
    "[global]\ndir_working = {0}/work\ndir_ms = {0}\n"
    "[directions]\nflux_min_Jy = 0.3\nsize_max_arcmin = 2\nseparation_max_arcmin = 9\n"
)


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "bin" / name), *arguments],
        capture_output=True, text=True, env=environment, check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_and_version(name: str) -> None:
    """Help names every option and answers at once; the version is that of logs and archives."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = script(name, "-h")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Not the time on the wall, which a busy machine stretches.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    assert shown.returncode == 0
    for option in COMMANDS[name]:
        assert option in shown.stdout
    version = script(name, "--version")
    assert (version.returncode, version.stdout.strip()) == (0, f"{name} {factor_version()}")


@pytest.mark.parametrize("program", ["restore_calibrated", "reimage", "rerun"])
def test_help_of_the_programs_in_an_archive(
    program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever gets an archive asks them first."""
    assert getattr(archived, program)(tmp_path, ["-h"]) == 0
    assert "DIR_OUTPUT" in capsys.readouterr().out
    assert getattr(archived, program)(tmp_path, []) == 2


def test_help_imports_nothing_heavy() -> None:
    """Help and parset reading must not wait for casacore, matplotlib and their like."""
    code = (
        "import sys\n"
        "from factor.cli import runfactor, checkfactor, archivefactor, unarchivefactor\n"
        "assert runfactor.main(['-h']) == 0\n"
        "heavy = {'casacore', 'everybeam', 'matplotlib', 'astropy', 'numpy', 'scipy', 'lsmtool', 'losoto'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, check=True
    )
    assert "loaded: []" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-o", "facetimage", "x.parset"], "name the directions to reset too: -r DIRECTIONS -o facetimage"),
        (["--undo", "x.parset"], "--undo: needs -r"),
        (["-r", "a", "-o", "facetimag", "x.parset"], "there is no operation facetimag"),
        (["-r", "a,b", "-o", "facetsub", "--undo", "x.parset"], "--undo always undoes the subtraction alone"),
        (["-r", ",", "x.parset"], "-r names nothing"),
        (["-s", "0", "x.parset"], "-s 0: the number of groups must be at least 1"),
        (["no_such.parset"], "no_such.parset: cannot read the parset"),
        ([], "the following arguments are required: PARSET"),
        (["-x", "a.parset"], "unrecognized arguments: -x"),
        (["-q", "-v", "a.parset"], "not allowed with"),
        (["-s", "two", "a.parset"], "invalid int value: 'two'"),
    ],
)
def test_wrong_usage(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage ends with status 2 and says what to do instead."""
    assert runfactor.main(arguments) == 2
    assert expected in capsys.readouterr().err


def test_test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of the whole chain takes minutes: few directions and loops, and no more than were asked for."""
    seen: list[Settings] = []
    monkeypatch.setattr("factor.process.run", lambda settings, _: seen.append(settings))
    parset = tmp_path / "factor.parset"
    parset.write_text(PARSET.format(tmp_path) + "ndir_process = 1\n[calibration]\nmax_selfcal_loops = 7\n")
    assert runfactor.main(["-d", str(parset)]) == 0
    assert runfactor.main(["-d", "-t", str(parset)]) == 0
    loops = [(one.calibration.max_selfcal_loops, one.calibration.target_max_selfcal_loops) for one in seen]
    assert loops == [(7, 10), (2, 2)]
    assert [one.directions.ndir_process for one in seen] == [1, 1]
    assert [one.calibration.exit_on_selfcal_failure for one in seen] == [True, False]
    parset.write_text(PARSET.format(tmp_path))
    assert runfactor.main(["-d", "-t", str(parset)]) == 0
    assert seen[-1].directions.ndir_process == 2
    assert "another dir_working" in seen[-1].notes[-1]


def test_missing_parset_leaves_no_traceback() -> None:
    """What a user can cause is told in a line or two."""
    shown = script("runfactor", "no_such.parset")
    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr + shown.stdout
    assert len(shown.stderr.splitlines()) == 2


def test_an_archive_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in which nothing ran, or that is no archive, is named, and nothing is written."""
    parset = tmp_path / "factor.parset"
    parset.write_text(PARSET.format(tmp_path))
    assert archivefactor.main([str(parset), str(tmp_path / "out"), "-r"]) == 2
    assert "there is nothing to archive" in capsys.readouterr().err
    assert archivefactor.main([str(parset), str(tmp_path / "out"), "-d", ","]) == 2
    assert "-d names nothing" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert unarchivefactor.main([str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "not a complete archive" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unwritable_working_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file where a folder should be is found before anything else happens."""
    parset = tmp_path / "factor.parset"
    parset.write_text(PARSET.format(tmp_path).replace("/work\n", "/file/work\n"))
    (tmp_path / "file").write_text("")
    assert runfactor.main([str(parset)]) == 2
    assert "cannot write to the working directory" in capsys.readouterr().err


def test_all_problems_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several problems are a list, one a line."""
    parset = tmp_path / "factor.parset"
    parset.write_text("[global]\n")
    assert runfactor.main([str(parset)]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("runfactor: 5 problems\n  - ")
    assert len(shown.splitlines()) == 6


def test_errors_become_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One place decides: 1 for a failed run, 2 for wrong input; the log file has the message too."""
    log_file = tmp_path / "factor.log"
    log.setup(log_file)

    def failing(error: Exception) -> int:
        def action() -> None:
            raise error

        return common.guarded("runfactor", action)

    assert failing(FactorError("the tool broke", "look at it")) == 1
    assert failing(InputError("bad value")) == 2
    assert failing(OSError(errno.ENOSPC, "No space left on device", "/disk/a")) == 1
    assert failing(ValueError("surprise")) == 1
    shown = capsys.readouterr()
    assert "the tool broke\n  -> look at it" in shown.err
    assert "No space left on device: '/disk/a'\n  -> a disk is full" in shown.err
    assert "Traceback" not in shown.err + shown.out
    assert f"unexpected error: ValueError: surprise (details at the end of {log_file})" in shown.err
    assert "Traceback" in log_file.read_text()
    assert "the tool broke" in log_file.read_text()


def test_unexpected_error_without_a_log_file(capsys: pytest.CaptureFixture[str]) -> None:
    """Even before there is a log file the traceback goes to a file, which is named."""

    def action() -> None:
        raise ValueError("early")

    assert common.guarded("runfactor", action) == 1
    message = capsys.readouterr().err
    path = Path(message.rsplit(" ", 1)[1].strip().rstrip(")"))
    assert "ValueError: early" in path.read_text()
    path.unlink()
