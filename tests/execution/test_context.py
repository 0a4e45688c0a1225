"""Running steps: what is done is skipped, what changed is done again, what failed leaves nothing."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from factor.errors import FactorError, Interrupted, StepError
from factor.execution.context import Context
from factor.execution.step import Step
from factor.tools import runner

Shell = Callable[..., Step]
MakeContext = Callable[..., Context]
APPEND = "echo run >> $out"


def runs(path: Path) -> int:
    """How many times a step wrote a line into its journal."""
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def step(shell: Shell, tmp_path: Path, journal: Path) -> Step:
    """A step that notes in a journal that it ran."""
    return shell("one", f"echo run >> {journal}; echo done > $out", tmp_path / "work" / "one")


def test_done_steps_are_skipped(make_context: MakeContext, step: Step, journal: Path) -> None:
    """Resuming costs nothing for what is there: in the same run and in the next one."""
    context = make_context()
    context.run(step)
    context.run(step)
    make_context().run(step)
    assert runs(journal) == 1


def test_changed_option(make_context: MakeContext, shell: Shell, step: Step, tmp_path: Path) -> None:
    """Another option is another result."""
    make_context().run(step)
    changed = shell("one", "echo other > $out", tmp_path / "work" / "one")
    make_context().run(changed)
    assert (tmp_path / "work" / "one").read_text() == "other\n"


def test_changed_input(make_context: MakeContext, step: Step, tmp_path: Path, journal: Path) -> None:
    """A model that the user edited is used."""
    model = tmp_path / "model"
    model.write_text("1 Jy")
    reading = replace(step, reads=(model,))
    make_context().run(reading)
    make_context().run(reading)
    assert runs(journal) == 1
    model.write_text("2 Jy")
    make_context().run(reading)
    assert runs(journal) == 2


def test_changed_state_of_the_data(make_context: MakeContext, step: Step, journal: Path) -> None:
    """Data from which something was subtracted since are other data, under the same name."""
    make_context().run(replace(step, reads=("chunk0:before",)))
    make_context().run(replace(step, reads=("chunk0:after",)))
    assert runs(journal) == 2


def test_vanished_output(make_context: MakeContext, step: Step, journal: Path) -> None:
    """A RAM disk is empty after a reboot: what was on it is made again."""
    make_context().run(step)
    step.outputs[0].unlink()
    make_context().run(step)
    assert runs(journal) == 2
    assert step.outputs[0].exists()


@pytest.fixture
def chain(make_context: MakeContext, shell: Shell, journal: Path) -> Callable[..., list[Step]]:
    """Data, a result that is made from them, and a second one of both."""

    def make(**scripts: str) -> list[Step]:
        scratch = make_context().scratch
        paths = [scratch / "data", scratch / "first", scratch / "second"]
        steps = []
        for n, path in enumerate(paths):
            read = " ".join(map(str, paths[:n])) or "/dev/null"
            word = scripts.get(path.name, path.name)
            script = f"cat {read} > $out && echo {word} | tee -a {journal} >> $out"
            steps.append(shell(path.name, script, path, reads=tuple(paths[:n])))
        return steps

    return make


def test_released_data_are_not_made_again(
    make_context: MakeContext, chain: Callable[..., list[Step]], journal: Path
) -> None:
    """Disks are small: data go as soon as all that is made of them is there, also for the next run."""
    for _ in range(2):
        context = make_context()
        data, first, second = chain()
        context.run(data)
        context.run(first)
        context.run(second)
        context.release(*data.outputs)
        assert not data.outputs[0].exists()
    assert journal.read_text().split() == ["data", "first", "second"]


def test_released_data_that_are_needed_after_all(
    make_context: MakeContext, chain: Callable[..., list[Step]], journal: Path
) -> None:
    """A changed option, or a lost result: what it is made from is made again first, and once."""
    context = make_context()
    for step in chain():
        context.run(step)
    context.release(*chain()[0].outputs)
    # As a death in the middle of the deletion leaves it.
    chain()[0].outputs[0].write_text("half\n")
    changed = chain(second="other")
    context = make_context()
    for step in changed:
        context.run(step)
    assert journal.read_text().split() == ["data", "first", "second", "data", "other"]
    assert changed[2].outputs[0].read_text().split() == ["data", "data", "first", "other"]
    changed[1].outputs[0].unlink()
    context = make_context()
    for step in changed:
        context.run(step)
    assert journal.read_text().split()[5:] == ["first"]


def test_two_steps_need_the_same_released_data(
    make_context: MakeContext, shell: Shell, step: Step, journal: Path
) -> None:
    """Side by side: one makes them again, the other waits."""
    context = make_context()
    data = shell("data", f"sleep 0.2; echo run >> {journal}; echo data > $out", context.scratch / "data")
    context.run(data)
    context.release(*data.outputs)
    readers = [
        shell(name, f"cat {data.outputs[0]} > $out", context.scratch / name, reads=data.outputs)
        for name in ("one", "other")
    ]
    context.run(*readers)
    assert all(reader.outputs[0].read_text() == "data\n" for reader in readers)
    assert runs(journal) == 2


def test_offered_steps(make_context: MakeContext, chain: Callable[..., list[Step]], journal: Path) -> None:
    """Parts that one step joins come and go with it, and never where it is done."""
    for _ in range(2):
        context = make_context()
        data, first, _ = chain()
        context.offer(data)
        assert not data.outputs[0].exists()
        context.run(first)
        assert not data.outputs[0].exists()
    assert journal.read_text().split() == ["data", "first"]


def test_products_are_not_released(make_context: MakeContext, shell: Shell) -> None:
    """Data that the user keeps are given to the same functions."""
    context = make_context()
    kept = shell("kept", "echo kept > $out", context.products / "kept")
    context.run(kept)
    context.release(*kept.outputs)
    assert kept.outputs[0].exists()


def test_by_products_go(make_context: MakeContext, shell: Shell) -> None:
    """WSClean leaves images of each channel, residuals and models: dozens of times what is wanted."""
    context = make_context()
    image = context.scratch / "a.image[1]-image.fits"
    script = "cd $(dirname $out); touch $out 'a.image[1]-0000-psf.fits' a.image1-image.fits"
    step = shell("image", script, image)
    pattern = context.scratch / "a.image[[]1]-*.fits"
    context.run(replace(step, action=replace(step.action, by_products=(pattern,))))  # type: ignore[type-var]
    assert sorted(path.name for path in context.scratch.iterdir()) == ["a.image1-image.fits", image.name]


def test_death_while_a_step_is_done_again(
    make_context: MakeContext, shell: Shell, tmp_path: Path
) -> None:
    """Half of an output that is made again is not taken for the whole one of the first time."""
    output, ready = tmp_path / "work" / "one", tmp_path / "ready"
    step = shell("one", f"echo half > $out; test -e {ready} || exit 0; kill -9 $PPID; sleep 9", output)
    make_context().run(step)
    output.unlink()
    ready.touch()
    child = os.fork()
    if child == 0:
        make_context().run(step)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert output.exists()
    assert "one" not in make_context().record.steps


def test_change_goes_down_the_line(
    make_context: MakeContext, shell: Shell, step: Step, tmp_path: Path
) -> None:
    """When an early step is done anew, what was made from it is as well."""
    journal = tmp_path / "second"
    second = shell("two", f"echo run >> {journal}; cp {step.outputs[0]} $out", tmp_path / "work" / "two",
                   reads=step.outputs)
    context = make_context()
    context.run(step)
    context.run(second)
    changed = shell("one", "echo other > $out", step.outputs[0])
    context = make_context()
    context.run(changed)
    context.run(second)
    assert runs(journal) == 2
    assert second.outputs[0].read_text() == "other\n"


@pytest.mark.parametrize("where", ["work", "scratch"])
def test_moved_working_directory(
    make_context: MakeContext, shell: Shell, tmp_path: Path, journal: Path, where: str
) -> None:
    """A run that is moved to another disk goes on there."""
    for number, root in enumerate((tmp_path / "old", tmp_path / "new place")):
        if number:
            shutil.move(tmp_path / "old", root)
        context = make_context(root=root)
        output = (root if where == "work" else context.scratch) / "one"
        context.run(shell("one", f"echo run >> {journal}; touch '{output}'", output))
    assert runs(journal) == 1


def test_moved_scratch(make_context: MakeContext, shell: Shell, tmp_path: Path, journal: Path) -> None:
    """Another dir_local loses the intermediate data, which are made again there."""
    for name in ("ram", "disk", "disk"):
        context = make_context(dir_local_selfcal=tmp_path / name)
        output = context.scratch / "one"
        assert tmp_path / name in output.parents
        context.run(shell("one", f"echo run >> {journal}; touch $out", output))
    assert runs(journal) == 2


def test_scratch_of_each_operation(make_context: MakeContext, tmp_path: Path) -> None:
    """A RAM disk for self-calibration holds nothing else, and no two runs share a folder."""
    ram, disk = tmp_path / "ram", tmp_path / "disk"
    local = {"dir_local": disk, "dir_local_selfcal": ram}
    one = make_context(root=tmp_path / "a" / "work", **local).engine
    other = make_context(root=tmp_path / "b" / "work", **local).engine
    assert ram in one.scratch("facetselfcal", "d").parents
    assert disk in one.scratch("facetimage", "d").parents
    assert one.scratch("facetimage", "d") != other.scratch("facetimage", "d")


def test_machine_does_not_matter(
    make_context: MakeContext, shell: Shell, tmp_path: Path, journal: Path
) -> None:
    """Threads, memory and the folder of the tool are no reason to do a step again."""
    other = tmp_path / "sh"
    other.symlink_to("/bin/sh")
    output, script = tmp_path / "work" / "one", f"echo run >> {journal}; touch $out"
    make_context(cpus=1).run(shell("one", script, output, cpus=1))
    make_context(cpus=8).run(shell("one", script, output, cpus=4, program=str(other)))
    assert runs(journal) == 1


def test_failure_tells_all(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """Step, the tool's last error, its log, and a command to paste."""
    context = make_context()
    failing = shell("solve it", "echo RuntimeError: no such column >&2; exit 1", tmp_path / "work" / "o")
    with pytest.raises(StepError) as caught:
        context.run(failing)
    text = str(caught.value)
    assert "solve it" in text
    assert "no such column" in text
    assert str(context.out_log) in text
    assert "/bin/sh -c" in text
    assert "no such column" in context.err_log.read_text()


@pytest.mark.parametrize("script", ["echo half > $out; exit 1", "echo half > $out; kill -KILL $$"])
def test_failure_leaves_no_half(
    make_context: MakeContext, shell: Shell, tmp_path: Path, script: str
) -> None:
    """A half-written output would be taken for a whole one by whoever finds it."""
    output = tmp_path / "work" / "half.h5"
    with pytest.raises(StepError):
        make_context().run(shell("one", script, output))
    assert not output.exists()


def test_a_folder_that_cannot_be_made(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """A disk that is gone is the failure of a step, which says so, not the end of the run."""
    (tmp_path / "disk").write_text("no folder")
    context = make_context()
    with pytest.raises(StepError, match=r"step 'blocked' failed: .*disk"):
        context.run(shell("blocked", "true", tmp_path / "disk/out.txt"))


def test_old_output_is_gone_first(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """DP3 would append to an H5parm of an earlier try, and edit a measurement set."""
    folder = tmp_path / "work" / "out.ms"
    folder.mkdir(parents=True)
    (folder / "old").touch()
    make_context().run(shell("one", "test ! -e $out && mkdir $out", folder))
    assert not (folder / "old").exists()


def test_failure_lets_siblings_finish(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """Hours of another chunk's solve are not thrown away because one chunk fails."""
    slow = shell("slow", "sleep 0.4; touch $out", tmp_path / "work" / "slow")
    bad = shell("bad", "exit 1", tmp_path / "work" / "bad")
    context = make_context()
    with pytest.raises(StepError, match="bad"):
        context.run(bad, slow)
    assert slow.outputs[0].exists()
    assert "slow" in make_context().record.steps
    assert "bad" not in make_context().record.steps


def test_steps_run_side_by_side(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """Chunks are solved at the same time: each waits here for the other."""
    work = tmp_path / "work"
    script = "touch $out; for i in $(seq 100); do test -e {} && exit 0; sleep 0.02; done; exit 1"
    make_context(cpus=2).run(
        shell("a", script.format(work / "b"), work / "a"),
        shell("b", script.format(work / "a"), work / "b"),
    )
    assert len(make_context().record.steps) == 2


def test_no_more_than_the_processors(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """Two steps that need all processors run one after the other."""
    lock = tmp_path / "lock"
    script = f"mkdir {lock} && sleep 0.05 && rmdir {lock} && touch $out"
    make_context(cpus=2).run(
        *(shell(f"s{i}", script, tmp_path / "work" / f"s{i}", cpus=2) for i in range(3))
    )


def test_python_steps(make_context: MakeContext, call: Shell, tmp_path: Path) -> None:
    """Work of Factor's own is a step like any other."""
    seen = []

    def write(path: Path, text: str) -> None:
        seen.append(text)
        path.write_text(text)

    output = tmp_path / "work" / "one"
    for text in ("a", "a", "b"):
        make_context().run(call("write", write, output, text=text))
    assert seen == ["a", "b"]


def test_python_step_without_output(make_context: MakeContext, call: Shell, tmp_path: Path) -> None:
    """A function that forgets its output is found here, not three steps later."""

    def nothing(path: Path) -> None:
        del path

    with pytest.raises(StepError, match="left no"):
        make_context().run(call("nothing", nothing, tmp_path / "work" / "one"))


def test_python_step_that_fails(make_context: MakeContext, call: Shell, tmp_path: Path) -> None:
    """What a product's function complains of comes with the name of the step."""

    def refuse(path: Path) -> None:
        raise FactorError(f"{path} has no beam")

    with pytest.raises(StepError, match=r"(?s)make it.*no beam"):
        make_context().run(call("make it", refuse, tmp_path / "work" / "one"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("no good gains")])
def test_python_step_that_meets_the_unforeseen(
    make_context: MakeContext, call: Shell, tmp_path: Path, error: Exception
) -> None:
    """A full disk or data without solutions fail a direction with one line, and stop no other one."""

    def fail(path: Path) -> None:
        del path
        raise error

    context = make_context()
    with pytest.raises(StepError, match=f"(?s)make it.*{error.args[-1]}"):
        context.run(call("make it", fail, tmp_path / "work" / "one"))
    assert "Traceback" in context.err_log.read_text()


def test_commands_are_noted(make_context: MakeContext, shell: Shell, tmp_path: Path) -> None:
    """commands.log has each command in order, with its fate, ready to paste."""
    context = make_context()
    context.run(shell("first", "touch $out", tmp_path / "work" / "a"))
    with pytest.raises(StepError):
        context.run(shell("second", "exit 3", tmp_path / "work" / "b"))
    notes = context.engine.workspace.commands_log.read_text().splitlines()
    assert "exit status 0: facetselfcal d1: first" in notes[0]
    assert notes[1].startswith("env /bin/sh -c")
    assert "exit status 3: facetselfcal d1: second" in notes[2]


def test_life_of_an_operation(make_context: MakeContext, step: Step, tmp_path: Path) -> None:
    """Running, then failed with its reason, then done, its scratch gone and its products kept."""
    context = make_context()
    assert (context.record.status, context.done) == ("running", False)
    context.run(step)
    context.fail(FactorError("no luck", "try again"))
    again = make_context()
    assert "one" in again.record.steps
    (again.products / "image.fits").touch()
    (again.scratch / "data.ms").mkdir()
    again.finish({"noise": 1.5})
    stored = again.engine.store.load("facetselfcal", "d1")
    assert stored is not None
    assert (stored.status, stored.error, stored.results) == ("done", "", {"noise": 1.5})
    assert not again.scratch.exists()
    assert (again.products / "image.fits").exists()


def test_reasons_for_staleness(make_context: MakeContext) -> None:
    """The user is told which option went from what to what."""
    context = make_context()
    assert str(context.status({"loops": 3})) == "unfinished"
    context.finish({})
    assert str(context.status({"loops": 3})) == "done"
    assert str(context.status({"loops": 4})) == "stale because loops went from 3 to 4"
    assert len(context.status({"new": (1, 2)}).reasons) == 2


def test_stopped_run(make_context: MakeContext, step: Step, journal: Path) -> None:
    """After Ctrl-C no step begins."""
    context = make_context()
    runner.stop_all()
    with pytest.raises(Interrupted):
        context.run(step)
    assert runs(journal) == 0


def test_interrupted_step_is_not_a_failure(
    make_context: MakeContext, shell: Shell, tmp_path: Path
) -> None:
    """A tool that was ended by the stop is not reported as broken, and leaves no half output."""
    context, output = make_context(), tmp_path / "work" / "half"
    errors: list[BaseException] = []

    def run() -> None:
        try:
            context.run(shell("one", "touch $out; sleep 30", output))
        except Interrupted as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not output.exists():
        time.sleep(0.01)
    runner.stop_all()
    thread.join(5)
    assert [type(error) for error in errors] == [Interrupted]
    assert not output.exists()


def test_a_moved_mask_makes_nothing_stale(
    make_context: MakeContext, shell: Shell, tmp_path: Path, journal: Path
) -> None:
    """What the user gave may lie elsewhere later, as after unarchiving; its content still counts."""
    masks = [tmp_path / "masks" / "a.reg", tmp_path / "work" / "inputs" / "a.reg"]
    for mask in masks:
        mask.parent.mkdir(parents=True)
        mask.write_text("circle")

    def run(mask: Path) -> None:
        script = f"cat {mask} >> {journal}; echo >> {journal}; echo done > $out"
        context = make_context()
        context.run(shell("one", script, tmp_path / "work" / "one", reads=(mask,)))

    run(masks[0])
    run(masks[1])
    assert runs(journal) == 1
    masks[1].write_text("box")
    run(masks[1])
    assert runs(journal) == 2


def test_settings_that_name_moved_files(make_context: MakeContext, tmp_path: Path) -> None:
    """A finished operation isn't done again because a file that it names has moved."""
    context = make_context()
    context.start({"region": "/somewhere/masks/a.reg"})
    context.finish({})
    assert context.status({"region": str(tmp_path / "work/inputs/a.reg")}).reasons == ()
    assert context.status({"region": str(tmp_path / "work/inputs/b.reg")}).reasons != ()
