"""Passes over the visibilities that operations share: take out a direction, correct, image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factor.execution.context import Context
from factor.execution.step import Call, Step
from factor.observation.model import Chunk, ChunkFile
from factor.operations.base import InitialModels, Solutions, runs_of_one_model
from factor.products.images.image import check_image
from factor.state.ledger import Ledger
from factor.tools.dp3 import (
    ApplyCal,
    Average,
    DP3Run,
    DP3Step,
    H5ParmPredict,
    PhaseShift,
    Predict,
    PreFlag,
    dp3_command,
)
from factor.tools.wsclean import WSClean, wsclean_command
from factor.tuning.averaging import Averaging


@dataclass(frozen=True)
class CorruptedModel:
    """A model from self-calibration with the solutions that it is subtracted with."""

    skymodel: Path
    solutions: Solutions

    def predict(self, operation: str) -> H5ParmPredict:
        return H5ParmPredict(
            self.skymodel,
            operation,
            self.solutions.filled,
            self.solutions.soltabs,
            self.solutions.owner,
        )


@dataclass(frozen=True)
class Extraction:
    """How a direction is taken out of the chunks, in one pass.

    Attributes
    ----------
    label : str
        What is taken out, for names of steps and files.
    centre : (ra_deg, dec_deg)
        New phase centre.
    averaging : Averaging
        How far the result is averaged.
    initial : InitialModels or None
        Initial models that are added back, uncorrupted, as they were subtracted.
    new : CorruptedModel or None
        A self-calibrated model that is added back, corrupted, as it was subtracted.
    peeled : CorruptedModel or None
        A model that is taken away, corrupted.
    correct : tuple of ApplyCal
        Corrections applied after the shift.
    flags : tuple of PreFlag
        What is flagged in it.
    bands : tuple of str or None
        Bands to use; all when None.
    folder : Path or None
        Where the measurement sets go; the scratch folder when None.
    compress : bool
        Compress them.
    """

    label: str
    centre: tuple[float, float]
    averaging: Averaging
    initial: InitialModels | None = None
    new: CorruptedModel | None = None
    peeled: CorruptedModel | None = None
    correct: tuple[ApplyCal, ...] = ()
    flags: tuple[PreFlag, ...] = ()
    bands: tuple[str, ...] | None = None
    folder: Path | None = None
    compress: bool = False

    def reads(self) -> tuple[Path, ...]:
        files: list[Path] = []
        if self.initial is not None:
            files += self.initial.paths
        for model in (self.new, self.peeled):
            files += [] if model is None else [model.skymodel, model.solutions.filled]
        return (*files, *(c.parmdb for c in self.correct))


def chunk_token(context: Context, file: ChunkFile) -> str:
    """The state of a chunk's data as a fingerprint: which subtractions they have seen."""
    return f"{file.path.name}:{Ledger(context.engine.workspace, file.path).state_id()}"


def extract(context: Context, chunk: Chunk, how: Extraction) -> list[Step]:
    """The steps that take one direction out of one chunk: add back, shift, correct, average.

    Returns
    -------
    list of Step
        One for each run of bands with one initial model, lowest frequency first; each
        leaves one measurement set.
    """
    folder = how.folder or context.scratch
    return [
        _taken_out(
            context, how, files, folder / f"{context.direction}.{how.label}_{chunk.name}_{number}.ms",
            f"take out the {how.label}, {chunk.name}, part {number}",
        )
        for number, files in enumerate(_runs(chunk, how))
    ]  # fmt: skip


def extract_joined(context: Context, chunk: Chunk, how: Extraction, msout: Path) -> Step:
    """The step that takes one direction out of one chunk into one measurement set.

    What comes before it is made when it runs.
    """
    runs = _runs(chunk, how)
    title = f"take out the {how.label}, {chunk.name}"
    if len(runs) == 1:
        return _taken_out(context, how, runs[0], msout, title)
    parts = extract(context, chunk, how)
    context.offer(*parts)
    return joined(context, [step.outputs[0] for step in parts], msout, title)


def joined(context: Context, parts: Sequence[Path], msout: Path, title: str) -> Step:
    """The step that joins measurement sets of one chunk in frequency, uncompressed."""
    command = dp3_command(context.tools, DP3Run(tuple(parts), "DATA", (), msout))
    return Step(name=title, action=command, reads=tuple(parts), outputs=(msout,))


def _taken_out(
    context: Context, how: Extraction, files: Sequence[ChunkFile], msout: Path, title: str
) -> Step:
    run = DP3Run(
        msin=tuple(file.path for file in files),
        datacolumn="CORRECTED_DATA",
        steps=_passes(how, files),
        msout=msout,
        compress=how.compress,
    )
    return Step(
        name=title,
        action=dp3_command(context.tools, run),
        reads=(*how.reads(), *(chunk_token(context, file) for file in files)),
        outputs=(msout,),
    )


def _runs(chunk: Chunk, how: Extraction) -> list[tuple[ChunkFile, ...]]:
    if how.initial is not None:
        return runs_of_one_model(chunk, how.bands)
    return [tuple(f for f in chunk.files if how.bands is None or f.band in how.bands)]


def _passes(how: Extraction, files: Sequence[ChunkFile]) -> tuple[DP3Step, ...]:
    passes: list[DP3Step] = [*how.flags]
    model = how.initial.of(files[0]) if how.initial is not None else None
    if model is not None:
        passes.append(Predict(model, "add"))
    if how.new is not None:
        passes.append(how.new.predict("add"))
    if how.peeled is not None:
        passes.append(how.peeled.predict("subtract"))
    passes.append(PhaseShift(*how.centre))
    passes += how.correct
    if how.averaging != Averaging(1, 1):
        passes.append(Average(how.averaging.freqstep, how.averaging.timestep))
    return tuple(passes)


def correct(
    context: Context, mss: Sequence[Path], h5parm: Path, soltabs: tuple[str, ...], timestep: int, msout: Path
) -> Step:
    """The step that corrects extracted data of one chunk and averages them in time for an image."""
    steps: tuple[DP3Step, ...] = (ApplyCal(h5parm, soltabs), Average(1, timestep))
    if not soltabs:
        steps = (Average(1, timestep),)
    run = DP3Run(tuple(mss), "DATA", steps, msout)
    return Step(
        name=f"correct and average, {msout.name}",
        action=dp3_command(context.tools, run),
        reads=(*mss, h5parm) if soltabs else tuple(mss),
        outputs=(msout,),
    )


def image(context: Context, options: WSClean, mss: Sequence[Path], threads: int, *reads: Path | str) -> Step:
    """The step that makes an image.

    Parameters
    ----------
    context : Context
        Where it runs.
    options : WSClean
        What to make.
    mss : sequence of Path
        What is imaged.
    threads : int
        Processors that it may keep busy.
    reads : Path or str
        What it depends on beside the measurement sets and the mask.
    """
    # Images that share the processors share the memory.
    memory_gb = context.engine.memory_gb * min(1.0, threads / context.threads)
    command = wsclean_command(context.tools, options, mss, threads=threads, memory_gb=memory_gb)
    mask = (options.fits_mask,) if options.fits_mask is not None else ()
    depends = reads if reads else tuple(mss)
    arguments = {"path": options.image, "restored": options.niter > 0}
    return Step(
        name=f"image {options.name.name}",
        action=replace(command, outputs=options.outputs),
        reads=(*depends, *mask),
        outputs=options.outputs,
        cpus=threads,
        check=None if options.psf_only else Call(check_image, arguments),
    )
