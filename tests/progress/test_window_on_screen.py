"""The window on a virtual screen, with real clicks and keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from factor.progress import gui
from tests.progress.conftest import Site
from tests.progress.test_window import products, states

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def screen() -> Iterator[str]:
    """A virtual X display."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if not any(gui._is_there(module) for _, modules in gui.BACKENDS for module in modules):
        pytest.skip("this Python has neither Tk nor Qt")
    reading, writing = os.pipe()
    options = ("-screen", "0", "1400x1000x24", "-nolisten", "tcp", "-displayfd", str(writing))
    server = subprocess.Popen(["Xvfb", *options], pass_fds=(writing,), stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        number = os.read(reading, 20).decode().strip()
        if not number:
            pytest.skip("Xvfb does not start here")
        yield f":{number}"
    finally:
        os.close(reading)
        server.terminate()
        server.wait(10)


def until(found: Callable[[], str], *, within_s: float = 30.0) -> str:
    """Wait until something is there."""
    end = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)
    return value


def test_real_clicks_and_keys(site: Site, screen: str, tmp_path: Path) -> None:
    """A facet is selected with the mouse, its images open with a key, and q closes all without an error."""
    states(site)
    products(site)
    parset = tmp_path / "my.parset"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}\n")
    environment = {k: v for k, v in os.environ.items() if k not in ("MPLBACKEND", "WAYLAND_DISPLAY")}
    environment |= {"DISPLAY": screen, "PYTHONPATH": str(CHECKOUT)}

    def xdotool(*arguments: str) -> str:
        done = subprocess.run(["xdotool", *arguments], env=environment, capture_output=True, text=True,
                              check=False)
        return done.stdout.strip()

    command = [sys.executable, str(CHECKOUT / "bin" / "checkfactor"), str(parset), "-f"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        own = until(lambda: xdotool("search", "--onlyvisible", "--name", "^checkfactor /"))
        time.sleep(1.0)
        # The lower left part of the map: facet 1 (east is left), which has no images; then facet 0.
        xdotool("mousemove", "370", "430", "click", "1", "mousemove", "540", "430", "click", "1")
        time.sleep(0.5)
        xdotool("windowfocus", own, "key", "c")
        images = until(lambda: xdotool("search", "--onlyvisible", "--name", "facet_patch_0: self"))
        xdotool("windowfocus", images.split()[0], "key", "q")
        until(lambda: "" if xdotool("search", "--onlyvisible", "--name", "facet_patch_0: self") else "gone")
        xdotool("windowfocus", own, "key", "q")
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert b"Traceback" not in said
    assert b"checkfactor" not in said
