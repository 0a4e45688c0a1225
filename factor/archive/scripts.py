"""The programs in an archive: a few lines each, which call this package."""

from __future__ import annotations

from pathlib import Path

from factor import __version__

#: What each does.
SCRIPTS = {
    "restore_calibrated": "Restore the calibrated data of directions from the input data, without solving.",
    "reimage": "Make images of facets and their mosaic again from calibrated data.",
    "rerun": "Run Factor again from the input data, with the archived parset and directions.",
}

_TEXT = '''\
#!/usr/bin/env python3
"""{does} See README.txt, and -h."""
from pathlib import Path

try:
    from factor.cli.archived import {name}
except ImportError:
    raise SystemExit("{name} needs Factor ({version} or later) in this Python: see README.txt") from None

if __name__ == "__main__":
    raise SystemExit({name}(Path(__file__).resolve().parents[1]))
'''


def write_scripts(folder: Path) -> None:
    """Write the programs into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, does in SCRIPTS.items():
        path = folder / name
        path.write_text(_TEXT.format(name=name, does=does, version=__version__))
        path.chmod(0o755)
