"""Whole runs with the fake tools, each in a process of its own that may die."""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from astropy.coordinates import Angle

from factor.tools.environment import prepare
from tests.fakes import client, inside
from tests.fakes.observation import make_observation, write_parset
from tests.fakes.server import fake_tools

prepare()

#: Loaded once, for all processes that are forked later: most of what a run costs that has little to do.
PRELOADED = (
    "astropy.nddata", "astropy.wcs", "dask.array", "factor.cli.runfactor", "factor.process",
    "factor.products.images.beam", "factor.products.solutions.soltabs", "lsmtool", "lsmtool.operations",
    "matplotlib.pyplot", "reproject", "scipy.interpolate", "scipy.ndimage", "scipy.optimize",
    "scipy.sparse.csgraph", "scipy.spatial", "shapely", "tables",
)  # fmt: skip


def _picture(*arguments: Any, **_: Any) -> None:
    """Stand for a plot: pictures have tests of their own and take half of the time."""
    for argument in arguments:
        if isinstance(argument, Path) and argument.suffix == ".png":
            argument.write_bytes(b"PNG")


def _in_child(action: Callable[[], int], environment: dict[str, str]) -> int:
    """Exit status of an action in a fork; negative when it was killed."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            from factor.observation import subtracted
            from factor.products.fieldcheck import check
            from factor.products.images import plot

            # Nothing was ever subtracted from the noise that is simulated.
            subtracted._can_tell = lambda _: False
            plot.plot_image = _picture
            check.plot_check = _picture
            os.environ.update(environment)
            status = action()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


class FakeRun:
    """A working directory in which Factor runs with the fake tools.

    They are processes where they are to die (see `client`), or a file ``apart`` says so; else
    functions: half of the time.
    """

    def __init__(self, folder: Path, data: Path, environment: dict[str, str]) -> None:
        self.folder, self.data = folder, data
        self.tools = Path(environment["FAKE_TOOLS"])
        self.work = folder / "work"
        self._environment = environment
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, *options: str, before: Callable[[], None] | None = None, **changes: str) -> int:
        """Run runfactor with changed parset options; ``before`` is called in its process."""
        parset = write_parset(self.folder, self.data, **changes)
        return self.call("runfactor", "-q", *options, str(parset), before=before)

    def call(self, name: str, *arguments: str, before: Callable[[], None] | None = None) -> int:
        """Run any of the commands with these tools."""

        def action() -> int:
            status: int = importlib.import_module(f"factor.cli.{name}").main(list(arguments))
            return status

        return self._ended(action, before)

    def script(self, path: Path, *arguments: str, before: Callable[[], None] | None = None) -> int:
        """Run a program of an archive with these tools."""

        def action() -> int:
            sys.argv = [str(path), *arguments]
            try:
                runpy.run_path(str(path), run_name="__main__")
            except SystemExit as ended:
                return int(ended.code or 0)
            return 99

        return self._ended(action, before)

    def _ended(self, action: Callable[[], int], before: Callable[[], None] | None) -> int:
        def prepared() -> int:
            if not any((self.tools / name).exists() for name in ("die", "crash", "apart")):
                inside.install(self.tools)
            if before is not None:
                before()
            return action()

        status = _in_child(prepared, self._environment)
        if status < 0:
            assert status == -signal.SIGKILL
            client.ask(self.tools, ["sync"])
        return status

    @property
    def journal(self) -> list[str]:
        """Outputs of the commands that came to their end, in order."""
        path = self.tools / "journal"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def commands(self) -> list[tuple[str, str]]:
        """What commands.log says of the operations' commands: title and command."""
        return [noted for noted in self.all_commands if not noted[0].startswith("input ")]

    @property
    def all_commands(self) -> list[tuple[str, str]]:
        """What commands.log says, with the checks of the input."""
        lines = (self.work / "commands.log").read_text().splitlines()
        return [
            (title.split(": ", 1)[1], command)
            for title, command in zip(lines[::2], lines[1::2], strict=True)
        ]


@pytest.fixture(scope="session")
def observation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bands, two chunks, two directions."""
    for module in PRELOADED:
        importlib.import_module(module)
    Angle("1h2m3s"), Angle("1d2m3s")  # makes astropy's parsers
    folder = tmp_path_factory.mktemp("observation") / "data"
    make_observation(folder)
    return folder


@pytest.fixture(scope="session")
def make_run(
    observation: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], FakeRun]]:
    """Make empty working directories, each with tools of its own."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make() -> FakeRun:
            folder = tmp_path_factory.mktemp("run")
            (folder / "tools").mkdir()
            environment = stack.enter_context(fake_tools(folder / "tools"))
            return FakeRun(folder, observation, environment)

        yield make


@pytest.fixture(scope="session")
def finished(make_run: Callable[[], FakeRun]) -> FakeRun:
    """A run that came to its end, to be looked at only."""
    run = make_run()
    assert run.run() == 0
    return run
