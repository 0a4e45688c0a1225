"""What a person sees."""

from __future__ import annotations

import json
import time

import pytest

from factor.cli import checkfactor
from factor.progress.model import Estimate
from factor.progress.reading import Reader
from factor.progress.text import lines_of
from factor.progress.words import duration, size, time_left
from tests.progress.conftest import BAD, Site, when


def text_of(site: Site, **options: bool) -> list[str]:
    return lines_of(Reader(site.workspace).read(), time.time(), **options)


def test_in_the_middle(site: Site) -> None:
    """Run, operations that run, and a table: each where it is looked for."""
    site.middle()
    lines = text_of(site)
    assert lines[0].startswith(f"{site.workspace.root}: running since ")
    assert lines[0].endswith(" left")
    assert lines[1] == "group 2 of 2, facetselfcal 1/3, facetsub 1/3, facetimage 0/3"
    assert "memory 500 MB now, 900 MB at most, disk 1 GB now, 2 GB at most" in lines[2]
    assert lines[4].startswith("facetselfcal b: step 6 of about 10, image wsclean_image01 (+1), since ")
    assert lines[5].startswith("facetselfcal c: step 3 of about 10, since ")
    assert lines[-4:] == [
        "direction  group  facetselfcal  facetsub  facetimage  status",
        "a          1      done          done      -           selfcal OK",
        "b          2      50 %          -         -           processing",
        "c          2      30 %          -         -           processing",
    ]


def test_stale_operations(site: Site) -> None:
    """What would be done again, and why, as the log and the dry run say it."""
    site.plan()
    site.pulse(started=60, outcome="done")
    for name in ("a", "b"):
        site.calibrated(name, (55, 25))
        reasons = ("facetsub c was reset", "max_loops went from 1 to 2")
        site.record("facetimage", name, (20, 10), stale=reasons)
    site.record("fieldmosaic", "field", (9, 8), stale=("facetimage a is to be done",))
    lines = text_of(site)
    assert "facetimage 2/3 (2 stale), fieldmosaic stale" in lines[1]
    assert lines[-6].split() == ["a", "1", "done", "done", "stale", "imaged"]
    assert lines[-3:] == [
        "", "facetimage of a, b: stale because facetsub c was reset; max_loops went from 1 to 2",
        "fieldmosaic of field: stale because facetimage a is to be done",
    ]  # fmt: skip
    found = Reader(site.workspace).read().to_json()["stale"]
    assert [(entry["operation"], entry["direction"]) for entry in found] == [
        ("facetimage", "a"), ("facetimage", "b"), ("fieldmosaic", "field"),
    ]  # fmt: skip


def test_failures_come_first(site: Site) -> None:
    """At 2 a.m. the first screen says what broke, why, and what to do."""
    site.plan(tuple(f"facet_patch_{k}" for k in range(60)))
    site.pulse(started=60, outcome="failed", message="self-calibration failed")
    parts = {"step": "solve", "message": "DP3: no memory", "log": "/x/out.log", "command": "DP3 x=1"}
    site.record("facetselfcal", "facet_patch_1", (30, 20), n=2, status="failed", error="", failure=parts)
    site.calibrated("facet_patch_0", (50, 40), verdict=BAD)
    lines = text_of(site)
    assert " FAILED after " in lines[0]
    assert lines[1].startswith("to go on: runfactor my.parset")
    assert lines[5:9] == [
        "FAILED facetselfcal facet_patch_0, step 'verdict':",
        "  flagged solutions 0.8 is above 0.5 (max_flagged): too few solutions are left",
        lines[7],
        "",
    ]
    assert lines[9:14] == [
        "FAILED facetselfcal facet_patch_1, step 'solve':",
        "  DP3: no memory",
        "  log: /x/out.log",
        "  to try it by hand:",
        "DP3 x=1",
    ]
    assert lines[14].startswith("  next: when the cause is gone, run again: runfactor my.parset")


def test_names(site: Site) -> None:
    """Long names are cut, unless they are asked for in full."""
    site.plan(("a_direction_with_a_very_long_name", "b", "c"))
    assert not any("very_long_name" in line for line in text_of(site))
    assert any("very_long_name" in line for line in text_of(site, full_names=True))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (59, "59 s"), (200, "3 min 20 s"), (300, "5 min"), (3599, "1 h"), (4320, "1 h 12 min"),
     (180000, "2 d 2 h")],
)
def test_durations(seconds: float, expected: str) -> None:
    """Two units at most."""
    assert duration(seconds) == expected


def test_numbers() -> None:
    """Sizes and estimates in words."""
    assert [size(n) for n in (12, 1.4e9, 999.7e6, 2.5e12)] == ["12 B", "1.4 GB", "1 GB", "2.5 TB"]
    assert time_left(Estimate(70, rough=False)) == "about 1 min 10 s left"
    assert time_left(Estimate(70, rough=True)) == "roughly 1 min 10 s left"


def test_command(site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Text without options and display, JSON, and a parset of which only dir_working counts."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    site.middle()
    parset = site.workspace.root.parent / "my.parset"
    wrong = "nonsense = 3\n[imaging]\nselfcal_robust = x\n"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}\n{wrong}")
    assert checkfactor.main([str(parset)]) == 0
    shown = capsys.readouterr().out
    assert checkfactor.main(["--text", str(parset)]) == 0
    assert capsys.readouterr().out.splitlines()[1] == shown.splitlines()[1]
    assert checkfactor.main(["--json", str(parset)]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "running"


def test_command_without_a_run(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, what to do, and exit status 2."""
    parset = site.workspace.root.parent / "my.parset"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}/nowhere\n")
    assert checkfactor.main([str(parset)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        f"checkfactor: no run has been started: there is no {site.workspace.root}/nowhere\n"
        "  -> start it: runfactor PARSET\n"
    )
    parset.write_text("[global]\ndir_ms = x\n")
    assert checkfactor.main([str(parset)]) == 2
    assert "dir_working: is required" in capsys.readouterr().err


def test_watching_ends_with_the_run(site: Site, monkeypatch: pytest.MonkeyPatch,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown again and again, also past a moment in which it cannot be read, and then no more."""
    site.middle()
    parset = site.workspace.root.parent / "my.parset"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}\n")
    record = site.workspace.record("facetselfcal", "a")
    whole, looks = record.read_text(), []

    def wait(_: float) -> None:
        looks.append(1)
        if len(looks) == 1:
            record.write_text("half")
        else:
            record.write_text(whole)
            site.pulse(started=60, outcome="stopped", message="stopped by SIGTERM")

    monkeypatch.setattr("factor.progress.watch.time.sleep", wait)
    assert checkfactor.main(["--json", "--watch", str(parset)]) == 0
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["running", "running", "stopped"]


def test_watching_can_be_left(site: Site, monkeypatch: pytest.MonkeyPatch,
                              capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C is the way out, and no failure."""
    site.middle()
    parset = site.workspace.root.parent / "my.parset"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}\n")

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("factor.progress.watch.time.sleep", stop)
    assert checkfactor.main(["--watch", str(parset)]) == 0
    assert "running since" in capsys.readouterr().out


def test_narrow_terminal(site: Site) -> None:
    """What to do next is not cut off where it is longer than a line; the table keeps its lines."""
    site.middle()
    site.calibrated("c", (20, 10), verdict=BAD)
    lines = lines_of(Reader(site.workspace).read(), site.now, width=60)
    assert max(len(line) for line in lines[: lines.index("") + 6]) <= 60
    assert "exit_on_selfcal_failure = False" in " ".join(line.strip() for line in lines)


def test_times_of_other_days(site: Site) -> None:
    """A run that began yesterday says so."""
    from factor.progress.words import clock

    assert len(clock(when(site.now, 0), site.now)) == 5
    assert len(clock(when(site.now, 3 * 86400), site.now)) > 5
