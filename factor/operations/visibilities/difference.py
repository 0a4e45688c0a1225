"""New minus initial model of a direction: looked at, predicted, subtracted, and added back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factor.execution.context import Context
from factor.execution.step import Step, digest, file_digest
from factor.observation.model import Chunk, ChunkFile
from factor.operations.base import InitialModels, runs_of_one_model
from factor.operations.visibilities.passes import CorruptedModel
from factor.state.ledger import Difference
from factor.tools.dp3 import DP3Run, DP3Step, Predict, dp3_command


@dataclass(frozen=True)
class Change:
    """What the calibration of a direction changes in the data.

    Attributes
    ----------
    new : CorruptedModel
        The new model and its solutions.
    initial : InitialModels
        The initial models, as they were subtracted; there may be none.
    """

    new: CorruptedModel
    initial: InitialModels

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.new.skymodel, self.new.solutions.filled, *self.initial.paths)

    def identity(self) -> str:
        """Fingerprint of what is subtracted: models and solutions."""
        return digest(*(file_digest(path) for path in self.files))


def predictions(folder: Path, chunk: Chunk) -> list[tuple[Path, tuple[ChunkFile, ...]]]:
    """The measurement sets of a prediction for one chunk, and the files each is for."""
    return [
        (folder / f"{chunk.name}_{number}.difference.ms", files)
        for number, files in enumerate(runs_of_one_model(chunk))
    ]


def predict(context: Context, chunk: Chunk, change: Change, folder: Path) -> list[Step]:
    """The steps that predict new minus initial model for one chunk into a folder."""
    steps = []
    for msout, files in predictions(folder, chunk):
        old = change.initial.of(files[0])
        passes: tuple[DP3Step, ...] = (change.new.predict("replace"),)
        if old is not None:
            passes = (*passes, Predict(old, "subtract"))
        run = DP3Run(tuple(file.path for file in files), "DATA", passes, msout)
        steps.append(
            Step(
                name=f"predict the difference, {msout.stem}",
                action=dp3_command(context.tools, run),
                reads=change.files,
                outputs=(msout,),
            )
        )
    return steps


def slices(ms: Path, files: Sequence[ChunkFile]) -> list[Difference]:
    """Each file's channels in the joined measurement set."""
    parts, start = [], 0
    for file in files:
        stop = start + len(file.freqs_hz)
        parts.append(Difference(ms, start, stop))
        start = stop
    return parts
