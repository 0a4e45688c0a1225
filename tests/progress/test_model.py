"""What is going on, at every stage of a run."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from factor.errors import InputError
from factor.progress.model import Progress
from factor.progress.reading import Reader
from factor.state.intent import Reset, save_intent
from factor.state.plan import Work, load_plan
from factor.state.pulse import Pulse, save_pulse
from factor.state.records import StepRecord
from factor.state.store import write_json
from factor.workspace import Workspace
from tests.progress.conftest import BAD, GOOD, Site, when


def read(site: Site) -> Progress:
    return Reader(site.workspace).read()


def statuses(progress: Progress) -> list[str]:
    return [direction.status for direction in progress.directions]


def test_preparing(site: Site) -> None:
    """Before there is a plan, or with that of an earlier run, the input is being looked at."""
    site.lock()
    site.pulse(started=5)
    assert read(site).state == "preparing"
    site.plan()
    assert read(site).state == "running"
    site.pulse(started=-60)
    assert read(site).state == "preparing"


def test_in_the_middle(site: Site) -> None:
    """Groups, steps, statuses, tallies and the time left of a run that goes on."""
    site.middle()
    progress = read(site)
    assert (progress.state, progress.group, len(progress.groups)) == ("running", 2, 2)
    assert statuses(progress) == ["selfcal OK", "processing", "processing"]
    assert progress.directions[0].completed == ("facetselfcal", "facetsub")
    current = progress.directions[1].current
    assert current is not None
    assert (current.steps_done, current.steps_expected) == (5, 10)
    assert {step.name for step in current.steps} == {"image b.wsclean_image01", "mask"}
    assert max(step.elapsed_s for step in current.steps) == pytest.approx(4, abs=2)
    assert [o.direction for o in progress.running] == ["b", "c"]
    assert [(t.operation, t.done, t.total) for t in progress.tallies] == [
        ("facetselfcal", 1, 3), ("facetsub", 1, 3), ("facetimage", 0, 3),
    ]  # fmt: skip
    # 50 s for 1.8 directions, 1.2 of them left; and images that nothing is known of.
    assert progress.estimate is not None
    assert progress.estimate.rough
    assert progress.estimate.left_s == pytest.approx(50 / 1.8 * (1.2 + 3 * 0.3 + 0.2), rel=0.15)
    assert progress.usage.cpu_s == 2.0 * 18
    assert progress.usage.peak_memory_mb == 900.0


def test_estimate_from_own_rates(site: Site) -> None:
    """With a rate for everything that is left, the estimate is that of this run alone."""
    site.plan()
    site.pulse(started=100)
    site.lock()
    for k, name in enumerate("abc"):
        site.calibrated(name, (90 - 20 * k, 70 - 20 * k))
    site.record("facetimage", "a", (30, 20), n=5)
    site.record("facetimage", "b", (20, 10), n=5)
    site.record("facetimage", "c", (10, None), n=0)
    site.record("fieldmosaic", "field", (0, 0), n=1)
    estimate = read(site).estimate
    assert estimate is not None
    assert not estimate.rough
    assert estimate.left_s == pytest.approx(15, abs=2)


def test_images_that_are_made_again(site: Site) -> None:
    """After a reset the images that are stale count as not made, with the rate that they had."""
    site.plan()
    site.pulse(started=100)
    site.lock()
    for k, name in enumerate("abc"):
        site.calibrated(name, (95 - 20 * k, 75 - 20 * k))
        stale = ("facetsub c was reset",) if name != "c" else ()
        site.record("facetimage", name, (30 - 10 * k, 20 - 10 * k), n=5, stale=stale)
    site.record("fieldmosaic", "field", (0, 0), n=1)
    estimate = read(site).estimate
    assert estimate is not None
    assert estimate.left_s == pytest.approx(20, abs=2)


def test_subtraction_under_way(site: Site) -> None:
    """An hour's subtraction shows how many files it is through, by their ledgers."""
    site.middle()
    site.record("facetsub", "a", (10, None), n=0)
    folder = site.workspace.band("Band_144.0MHz")
    folder.mkdir(parents=True)
    for name, entries in (("x", [{"direction": "a"}]), ("y", [{"direction": "b"}]), ("z", [])):
        write_json(folder / f"{name}.ledger.json", {"entries": entries}, 1)
    (folder / "half.ledger.json").write_text("{")
    current = read(site).directions[0].current
    assert current is not None
    assert (current.steps_done, current.steps_expected) == (1, 4)


def test_estimate_after_a_resumption(site: Site) -> None:
    """What an earlier run has done of an operation took its time too."""
    site.plan()
    site.pulse(started=5)
    site.lock()
    site.record("facetselfcal", "a", (5, None), n=0, steps={
        f"step {k}": StepRecord("x", (), when(site.now, 1000 - 10 * k), when(site.now, 990 - 10 * k))
        for k in range(5)
    })
    progress = read(site)
    assert progress.running[0].earlier_s == pytest.approx(50)
    assert progress.estimate is not None
    assert progress.estimate.left_s == pytest.approx(55 / 0.5 * (2.5 + 3 * 0.03 + 3 * 0.3 + 0.2), rel=0.1)


def test_killed_run(site: Site) -> None:
    """A run that is gone without a word is not shown as running."""
    site.middle()
    site.lock(pid=2**22 + 1)
    progress = read(site)
    assert progress.state == "killed"
    assert statuses(progress) == ["selfcal OK", "interrupted", "interrupted"]
    assert progress.running == ()


def test_killed_within_a_reset(site: Site) -> None:
    """What is about to be undone still has its records: the run must not be called done."""
    site.plan(("a",), work=(Work("facetselfcal", ("a",), 10),))
    site.calibrated("a", (50, 40))
    assert read(site).state == "done"
    save_intent(site.workspace, Reset(("a",)))
    found = read(site)
    assert (found.state, found.message) == ("killed", "within a reset, which the next run finishes")


def test_held_by_another_command(site: Site) -> None:
    """While a folder is archived its run is what it was when it ended: done, or killed."""
    site.plan()
    site.lock(since=100)
    for outcome, state in (("done", "done"), ("", "killed")):
        save_pulse(site.workspace, Pulse(when(site.now, 400), when(site.now, 300), outcome, "", 500.0))
        found = Reader(site.workspace).read()
        assert (found.state, found.elapsed_s, found.usage.memory_mb) == (state, 100.0, 0.0)


def test_silence_of_another_machine(site: Site) -> None:
    """Of a run elsewhere only its signs of life tell: one that has been silent for long is gone."""
    site.middle()
    site.lock(host="elsewhere")
    assert read(site).state == "running"
    pulse = json.loads(site.workspace.pulse.read_text())
    write_json(site.workspace.pulse, {**pulse, "updated": when(site.now, 3600)}, 1)
    assert read(site).state == "killed"


def test_what_an_earlier_run_left_half_done(site: Site) -> None:
    """Only what this run has begun is running."""
    site.middle()
    site.record("facetselfcal", "c", (4000, None), n=3, running={"old step": when(site.now, 3900)})
    assert statuses(read(site)) == ["selfcal OK", "processing", "interrupted"]


def test_failures(site: Site) -> None:
    """What failed has its step, the tool's own error, log, command and what to do."""
    site.plan()
    site.pulse(started=60, outcome="failed", message="facets could not be imaged")
    site.calibrated("a", (50, 40), verdict=BAD)
    parts = {"step": "solve", "message": "DP3: no memory", "log": "out.log", "command": "DP3 x=1"}
    site.record("facetselfcal", "b", (30, 20), n=2, status="failed", error="all of it", failure=parts)
    progress = read(site)
    assert progress.state == "failed"
    assert statuses(progress) == ["selfcal failed", "error", "unprocessed"]
    verdict, failure = progress.failures
    assert verdict.message == "flagged solutions 0.8 is above 0.5 (max_flagged): too few solutions are left"
    assert "results/facetselfcal/a (phases.png)" in verdict.remedy
    assert (failure.direction, failure.step, failure.message) == ("b", "solve", "DP3: no memory")
    assert (failure.log, failure.command) == ("out.log", "DP3 x=1")
    assert "runfactor my.parset" in failure.remedy


@pytest.mark.parametrize(
    ("operation", "goes_on", "advice"),
    [
        ("facetselfcal", False, "set exit_on_selfcal_failure = False"),
        ("facetselfcal", True, "tried once more when all others are done"),
        ("facetselfcal_retry", True, "its facet, if it has one, borrows solutions"),
    ],
)
def test_what_becomes_of_a_direction_that_failed(
    site: Site, operation: str, goes_on: bool, advice: str
) -> None:
    """No option is advised that is set already."""
    site.plan(goes_on=goes_on)
    site.record(operation, "a", (50, 40), results={"verdict": BAD})
    (failure,) = read(site).failures
    assert advice in failure.remedy
    assert goes_on != ("exit_on_selfcal_failure" in failure.remedy)


def test_failure_of_the_run_itself(site: Site) -> None:
    """A run that failed before any operation tells why."""
    site.pulse(started=60, outcome="failed", message="no room\n  -> make room")
    (failure,) = read(site).failures
    assert (failure.message, failure.remedy) == ("no room", "make room")


def test_ends(site: Site) -> None:
    """Done, stopped by a signal, and stopped after a group are told apart."""
    site.plan(stop_after=1)
    site.calibrated("a", (50, 40))
    site.pulse(started=60, outcome="stopped", message="stopped by SIGINT")
    assert (read(site).state, read(site).message) == ("stopped", "stopped by SIGINT")
    site.pulse(started=60, outcome="done")
    assert (read(site).state, read(site).message) == ("stopped", "after group 1, as asked")
    site.plan(stop_after=0)
    assert (read(site).state, read(site).message) == ("stopped", "after subtractions were undone, as asked")
    site.plan()
    site.pulse(started=60, outcome="done")
    assert read(site).state == "done"


def test_imaged_with_borrowed_solutions(site: Site) -> None:
    """A facet that failed and was imaged all the same says so, and whose solutions it has."""
    site.plan()
    site.pulse(started=60, outcome="done")
    site.calibrated("a", (50, 40), verdict=BAD)
    site.record("facetimage", "a", (30, 20), results={"solutions": "borrowed", "solutions_of": "b"})
    direction = read(site).directions[0]
    assert (direction.status, direction.solutions, direction.solutions_of) == ("imaged", "borrowed", "b")
    assert direction.verdict is not None
    assert not direction.verdict.good


def test_second_attempt(site: Site) -> None:
    """A direction that was good when it was tried once more is good; one that was not has one failure."""
    site.plan()
    site.pulse(started=60)
    site.lock()
    site.calibrated("a", (50, 45), verdict=BAD)
    site.record("facetselfcal_retry", "a", (40, 35), results={"verdict": GOOD})
    site.calibrated("b", (50, 45), verdict=BAD)
    site.record("facetselfcal_retry", "b", (40, 35), results={"verdict": BAD})
    site.record("facetselfcal", "c", (50, 45), status="failed", error="broken")
    site.record("facetimage", "c", (30, 25), results={"solutions": "borrowed", "solutions_of": "a"})
    progress = read(site)
    assert statuses(progress) == ["selfcal OK", "selfcal failed", "imaged"]
    assert [(f.direction, f.operation) for f in progress.failures] == [
        ("c", "facetselfcal"), ("b", "facetselfcal_retry"),
    ]  # fmt: skip


def test_json_has_what_is_documented(site: Site) -> None:
    """Scripts rely on these names: one that goes or changes its meaning raises the version."""
    site.middle()
    site.calibrated("a", (55, 25), verdict={**BAD, "checks": [{**BAD["checks"][0], "value": None}]})
    content = json.loads(json.dumps(read(site).to_json(), allow_nan=False))
    page = (Path(__file__).parents[2] / "docs" / "checkfactor.rst").read_text()
    assert content["version"] == 1
    parts = [content, content["directions"][1], content["running"][0], content["running"][0]["steps"][0],
             content["usage"], content["estimate"], content["tallies"][0],
             content["directions"][0]["verdict"],
             content["directions"][0]["verdict"]["checks"][0]]  # fmt: skip
    for part in parts:
        for name in part:
            assert f"``{name}``" in page, f"{name} is not in docs/checkfactor.rst"


def test_plan_is_what_was_written(site: Site) -> None:
    """The window draws the facets that the run has."""
    site.plan()
    plan = load_plan(site.workspace)
    assert plan is not None
    assert plan.directions[1].vertices == ((217.0, 51.0), (218.0, 51.0), (217.5, 52.0))
    assert plan.groups == (("a",), ("b", "c"))


def test_nothing_is_written(site: Site) -> None:
    """Looking changes no file, takes no lock, and works in a directory that cannot be written to."""
    site.middle()
    before = {path: path.stat().st_mtime_ns for path in site.workspace.root.rglob("*")}
    folders = [path for path in before if path.is_dir()] + [site.workspace.root]
    for folder in folders:
        folder.chmod(0o555)
    try:
        read(site)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert before == {path: path.stat().st_mtime_ns for path in site.workspace.root.rglob("*")}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("gone", "no run has been started"),
        ("foreign", "is not the working directory of a run"),
        ("half", "is damaged"),
        ("newer", "has format 99"),
        ("wrong", "is damaged"),
        ("pulse", "is damaged"),
    ],
)
def test_what_cannot_be_read(damage: str, expected: str, site: Site) -> None:
    """One sentence with the file, and the status of wrong input."""
    site.middle()
    record = site.workspace.record("facetselfcal", "a")
    if damage == "gone":
        site = Site(Workspace(site.workspace.root / "nowhere"), site.now)
    elif damage == "foreign":
        folder = site.workspace.root / "other"
        folder.mkdir()
        site = Site(Workspace(folder), site.now)
    elif damage == "half":
        record.write_text(record.read_text()[:100])
    elif damage == "newer":
        record.write_text('{"version": 99}')
    elif damage == "wrong":
        record.write_text('{"version": 1, "operation": 3}')
    else:
        site.workspace.pulse.write_text('{"version": 1}')
    with pytest.raises(InputError, match=expected):
        read(site)


def test_record_that_vanishes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reset deletes records while they are read."""
    site.middle()
    reader = Reader(site.workspace)
    glob = list(site.workspace.state.glob("*/*.json"))
    site.workspace.record("facetselfcal", "b").unlink()
    monkeypatch.setattr(Path, "glob", lambda *_: iter(glob))
    assert reader.read().directions[1].status == "unprocessed"


def test_a_hundred_facets_in_less_than_a_second(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read every second beside a run."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    names = tuple(f"facet_patch_{k}" for k in range(100))
    site.plan(names, groups=(names,))
    site.pulse(started=5000)
    site.lock()
    for name in names:
        site.record("facetselfcal", name, (5000, 100), n=80)
        site.record("facetimage", name, (100, None), n=5)
    reader = Reader(site.workspace)
    times = []
    for _ in range(2):
        begin = time.process_time()
        assert len(reader.read().directions) == 100
        times.append(time.process_time() - begin)
    assert times[0] < 1.0
    assert times[1] < times[0] / 2  # what has not changed is not read again


def test_parset_of_a_run_that_was_moved(site: Site, tmp_path: Path) -> None:
    """What to paste names the parset that is here, not the one of the machine where the run began."""
    site.plan()
    site.pulse(started=60, outcome="failed", message="x")
    site.record("facetselfcal", "a", (30, 20), status="failed", failure={"step": "s", "message": "m"})
    progress = Reader(site.workspace, tmp_path / "here.parset").read()
    assert f"runfactor {tmp_path}/here.parset" in progress.failures[0].remedy
    assert Reader(site.workspace).read().parset == "my.parset"
