"""Every directory and file name of a run, built and parsed back: the only module that knows a path."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

#: The direction of the operations that concern the whole field.
FIELD = "field"

#: All operations, in the order in which a run can reach them.
OPERATIONS = (
    "initsubtract",
    "outlierpeel",
    "facetpeel",
    "facetselfcal",
    "facetsub",
    "facetpeelimage",
    "facetimage",
    "fieldmosaic",
)

#: The self-calibration of a direction that failed, done once more with safer settings.
SECOND_ATTEMPT = "facetselfcal_retry"

#: The calibration of a good direction, done once more when all others are subtracted.
SECOND_ROUND = "facetselfcal_again"

#: Names of directions and operations: they become names of files and folders.
_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*")

#: Characters that DP3 and WSClean take for lists, patterns or quotes when a path has them.
_MISREAD = re.compile(r"[,\[\]{}*?'\"\n]")

_CHUNK_FILE = re.compile(r"(?P<ms>.+)_chunk(?P<index>\d+)\.ms$")


def base_operation(name: str) -> str:
    """The operation behind the name of a further imaging set or attempt, e.g. ``facetimage``."""
    return name.split("_", 1)[0]


def run_order(operation: str) -> tuple[int, str]:
    """What sorts operations as a run reaches them, those of further imaging sets by name."""
    base = base_operation(operation)
    return (OPERATIONS.index(base) if base in OPERATIONS else len(OPERATIONS)), operation


def is_name(text: str) -> bool:
    """Whether a text can be the name of a direction or operation: it leads out of no folder."""
    return _NAME.fullmatch(text) is not None


def misread(path: Path) -> str:
    """The characters of a path that the tools would misread."""
    return " ".join(dict.fromkeys(_MISREAD.findall(str(path))))


def band_name(freq_hz: float) -> str:
    """Name of the band around a frequency, e.g. ``Band_144.3MHz``."""
    return f"Band_{freq_hz / 1e6:.1f}MHz"


def chunk_file_name(ms_stem: str, index: int) -> str:
    """File name of one time chunk of a measurement set."""
    return f"{ms_stem}_chunk{index}.ms"


def parse_chunk_file_name(name: str) -> tuple[str, int] | None:
    """Measurement set stem and chunk index of a chunk's file name, None for another name."""
    match = _CHUNK_FILE.match(name)
    return (match["ms"], int(match["index"])) if match else None


@dataclass(frozen=True)
class Workspace:
    """The working directory (``dir_working`` of the parset)."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "factor.log"

    @property
    def commands_log(self) -> Path:
        return self.root / "commands.log"

    @property
    def directions_file(self) -> Path:
        """The directions that Factor chose."""
        return self.root / "factor_directions.txt"

    @property
    def parset(self) -> Path:
        """The parset of a run that was restored from an archive."""
        return self.root / "factor.parset"

    @property
    def inputs(self) -> Path:
        """The user's own files of a run that was restored from an archive: directions, masks, models."""
        return self.root / "inputs"

    @property
    def chunks(self) -> Path:
        return self.root / "chunks"

    @property
    def regions(self) -> Path:
        return self.root / "regions"

    @property
    def calimages_region(self) -> Path:
        return self.regions / "calimages_ds9.reg"

    @property
    def facets_region(self) -> Path:
        return self.regions / "facets_ds9.reg"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        return self.root / "factor.lock"

    @property
    def plan(self) -> Path:
        """What the run is about to do, for whoever watches it."""
        return self.state / "plan.json"

    @property
    def pulse(self) -> Path:
        """That the run lives, what it takes, and how it ended."""
        return self.state / "pulse.json"

    @property
    def layout(self) -> Path:
        """The facets of the run, which are refused when they change."""
        return self.state / "layout.json"

    @property
    def reset_intent(self) -> Path:
        """The reset that is being done."""
        return self.state / "reset.json"

    def band(self, band: str) -> Path:
        """Folder of one band's chunks and of its sky model."""
        return self.chunks / band

    def chunk(self, band: str, ms_stem: str, index: int) -> Path:
        """One chunk's measurement set."""
        return self.band(band) / chunk_file_name(ms_stem, index)

    def chunks_there(self) -> list[Path]:
        """The measurement sets of all chunks that are there."""
        return sorted(self.chunks.glob("Band_*/*_chunk*.ms"))

    def ledger(self, chunk_ms: Path) -> Path:
        """The record of what was subtracted from a chunk, kept beside it."""
        return chunk_ms.with_suffix(".ledger.json")

    def pending(self, chunk_ms: Path) -> Path:
        """New data of a chunk on their way into it, while it is being edited."""
        return chunk_ms.with_suffix(".pending.npy")

    def wild(self, chunk_ms: Path) -> Path:
        """What was flagged in a chunk because a station was mad; there once somebody has looked."""
        return chunk_ms.with_suffix(".wild.json")

    def products(self, operation: str, direction: str) -> Path:
        """Folder of the products of one operation on one direction."""
        return self.results / operation / direction

    def calibrated_data(self, folder: Path, direction: str, chunk: int) -> Path:
        """A direction's calibrated data of one chunk at full resolution."""
        return folder / f"{direction}_calibrated_data_chunk{chunk}.ms"

    def record(self, operation: str, direction: str) -> Path:
        """State of one operation on one direction."""
        return self.state / operation / f"{direction}.json"

    def records(self) -> list[tuple[str, str]]:
        """Operations and directions of which there is a record."""
        return sorted((path.parent.name, path.stem) for path in self.state.glob("*/[!.]*.json"))

    def out_log(self, operation: str, direction: str) -> Path:
        return self.logs / operation / f"{direction}.out.log"

    def err_log(self, operation: str, direction: str) -> Path:
        return self.logs / operation / f"{direction}.err.log"

    def scratch(self, operation: str, direction: str, dir_local: Path | None = None) -> Path:
        """Folder of the intermediate data of one operation, deleted at its end."""
        if dir_local is None:
            return self.products(operation, direction) / "scratch"
        # Runs of several fields often work in folders of the same name.
        own = hashlib.sha256(str(self.root).encode()).hexdigest()[:8]
        return dir_local / "factor" / f"{self.root.name}-{own}" / operation / direction

    def relative(self, path: Path) -> str:
        """A path as the state stores it: relative to the working directory where it lies there."""
        try:
            return str(path.relative_to(self.root))
        except ValueError:
            return str(path)

    def resolve(self, stored: str) -> Path:
        """Inverse of `relative`."""
        return self.root / stored
