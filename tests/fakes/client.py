"""What runs in the place of DP3 or WSClean: it hands its arguments to the server of `server.py`.

The folder FAKE_TOOLS of the environment controls it:
``socket`` is the server's; ``journal`` gets a line for each command that came to its end;
``die`` (if there) makes each command kill Factor once, at one of three moments (those whose
outputs have one of its words in their names, if it has any);
``fail`` holds a text: commands with this text in their outputs fail;
``crash`` (if there) makes each command break down once, in the middle of its work.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import zlib
from pathlib import Path

VERSIONS = "DP3 6.6.0\nWSClean version 3.1\n"
TOLD = "RuntimeError: it was told to fail\n"


def outputs_of(arguments: list[str]) -> list[str]:
    """The names of what a command writes."""
    found = [a.split("=", 1)[1] for a in arguments if a.startswith("msout=") or ".h5parm=" in a]
    if "-name" in arguments:
        found.append(arguments[arguments.index("-name") + 1])
    return found


def ask(folder: Path, request: object) -> dict[str, object]:
    """Send a request to the server and wait for its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / "socket"))
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return dict(json.loads(answer))


def kill_factor() -> None:
    """End Factor and this program without a word."""
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def half(outputs: list[str], tool: str) -> None:
    """Leave what a tool that was killed leaves: something that looks like an output."""
    for output in outputs:
        path = Path(output)
        if output.endswith(".ms"):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
            path /= "table.dat"
        elif tool == "wsclean":
            path = Path(f"{output}-image.fits")
        path.write_text("half of it")


def moment_of_death(folder: Path, key: str) -> int | None:
    """When this command is to die: 0 before, 1 in the middle of, 2 after its work; None: not."""
    words = (folder / "die").read_text().split() if (folder / "die").exists() else None
    if words is None or (words and not any(word in key for word in words)):
        return None
    return None if noted(folder / "died", key) else zlib.crc32(key.encode()) % 3


def noted(path: Path, key: str) -> bool:
    """Whether a list has a line, which it has from now on."""
    with path.open("a+") as stream:
        stream.seek(0)
        if key + "\n" in stream.readlines():
            return True
        stream.write(key + "\n")
    return False


def key_of(arguments: list[str]) -> str:
    """What a command is known by: the names of its outputs."""
    return " ".join(Path(output).name for output in outputs_of(arguments))


def is_to_fail(folder: Path, key: str) -> bool:
    """Whether this command is to fail."""
    failing = folder / "fail"
    return failing.exists() and failing.read_text().strip() in key


def note(folder: Path, key: str) -> None:
    """Note a command that came to its end."""
    with (folder / "journal").open("a") as stream:
        stream.write(key + "\n")


def main() -> int:
    """Do, or die."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(VERSIONS)
        return 0
    folder, tool = Path(os.environ["FAKE_TOOLS"]), Path(sys.argv[0]).name
    outputs, key = outputs_of(sys.argv[1:]), key_of(sys.argv[1:])
    if is_to_fail(folder, key):
        sys.stderr.write(TOLD)
        return 1
    if (folder / "crash").exists() and not noted(folder / "crashed", key):
        half(outputs, tool)
        os.kill(os.getpid(), signal.SIGSEGV)
    moment = moment_of_death(folder, key)
    if moment == 1:
        half(outputs, tool)
    if moment in (0, 1):
        kill_factor()
    answer = ask(folder, [tool, *sys.argv[1:]])
    sys.stdout.write(str(answer["out"]))
    sys.stderr.write(str(answer["err"]))
    sys.stdout.flush()
    if moment == 2:
        kill_factor()
    if answer["status"] == 0:
        note(folder, key)
    return int(str(answer["status"]))


if __name__ == "__main__":
    sys.exit(main())
