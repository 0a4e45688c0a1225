"""What stands subtracted in a chunk, and the edits that make it so: each exactly once.

DATA of a chunk is pristine, CORRECTED_DATA is the residual. An edit computes the new
absolute values beside the chunk first, then notes its intent in the ledger, copies the
values into the column, and notes the result. The copy can be repeated, so that a death
at any instant leaves a state that `Ledger.recover` finishes (after the intent) or drops
(before it). FLAG and weights are never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from factor.errors import FactorError
from factor.files import sync_folder
from factor.state.records import now
from factor.state.store import read_value, reserve, write_json
from factor.state.table import give_back, header_of, open_table, sync_table, writing
from factor.workspace import Workspace

if TYPE_CHECKING:
    from casacore.tables import table as Table  # noqa: N812

#: Format of the ledger's file; a newer one is refused.
LEDGER_VERSION = 1

#: Values that are edited at once: bounds the memory of an edit (16 MB of complex64).
_BLOCK_VALUES = 2_000_000

_RESIDUAL = "CORRECTED_DATA"
_PRISTINE = "DATA"


class RefusedError(FactorError):
    """A difference that cannot be subtracted, whatever the disk does."""


@dataclass(frozen=True)
class Difference:
    """Where an edit finds the new model minus the old one.

    Attributes
    ----------
    ms : Path
        A measurement set with the chunk's rows in the chunk's order.
    start_channel, stop_channel : int
        The chunk's channels within it (it may hold several bands).
    column : str
        The column that holds it.
    """

    ms: Path
    start_channel: int
    stop_channel: int
    column: str = "DATA"


@dataclass(frozen=True)
class Subtraction:
    """One standing subtraction.

    Attributes
    ----------
    direction : str
        The direction whose improved model was subtracted.
    identity : str
        Fingerprint of the model and the solutions that were subtracted.
    when : str
        ISO 8601 in UTC.
    """

    direction: str
    identity: str
    when: str


@dataclass(frozen=True)
class _State:
    entries: tuple[Subtraction, ...] = ()
    intent: Mapping[str, Any] | None = None


class Ledger:
    """The subtractions of one chunk.

    Parameters
    ----------
    workspace : Workspace
        Knows where ledger and pending data lie.
    chunk_ms : Path
        The chunk.
    """

    def __init__(self, workspace: Workspace, chunk_ms: Path) -> None:
        self.chunk_ms = chunk_ms
        self.path = workspace.ledger(chunk_ms)
        self.pending = workspace.pending(chunk_ms)

    def create(self) -> None:
        """Start an empty ledger: for a new chunk, whose CORRECTED_DATA equals DATA."""
        self.pending.unlink(missing_ok=True)
        self._write(_State())

    def subtracted(self) -> tuple[Subtraction, ...]:
        """Give the standing subtractions, in the order in which they were made.

        Raises
        ------
        FactorError
            When the ledger is missing, damaged or of a newer format, or an interrupted
            edit waits for `recover`.
        """
        return self._settled().entries

    def outlook(self) -> tuple[Subtraction, ...]:
        """Give the subtractions that stand once an interrupted edit is finished; none before the first."""
        if not self.path.exists():
            return ()
        state = self._read()
        if state.intent is None:
            return state.entries
        return _entries(state.intent)

    def state_id(self) -> str:
        """Give a fingerprint of the standing subtractions, whatever their order."""
        standing = sorted((entry.direction, entry.identity) for entry in self.subtracted())
        return hashlib.sha256(json.dumps(standing).encode()).hexdigest()[:20]

    def apply(self, direction: str, difference: Difference, sign: Literal[-1, 1], identity: str) -> bool:
        """Subtract a difference from CORRECTED_DATA, or add it back.

        Parameters
        ----------
        direction : str
            The direction that the difference is of.
        difference : Difference
            New model minus old model.
        sign : {-1, 1}
            -1 subtracts, 1 undoes.
        identity : str
            Fingerprint of the model and the solutions behind the difference.

        Returns
        -------
        bool
            False when there was nothing to do: it is subtracted (or undone) already.

        Raises
        ------
        RefusedError
            When the difference does not fit the chunk or is not finite.
        FactorError
            When another version of this direction stands subtracted, or the disk is full.
            The chunk is as it was then, too.
        """
        if sign not in (-1, 1):
            raise ValueError(f"sign is {sign}, must be -1 or 1")
        state = self._settled()
        standing = [entry for entry in state.entries if entry.direction == direction]
        if standing and standing[0].identity != identity:
            raise FactorError(
                f"{self.chunk_ms}: another version of direction {direction} stands subtracted "
                f"(ledger: {standing[0].identity}, wanted: {identity})",
                "begin again from the data as they came: runfactor -r all",
            )
        if bool(standing) == (sign == -1):
            return False
        self.pending.unlink(missing_ok=True)
        try:
            with writing(self.pending):
                self._compute(difference, sign)
        except BaseException:
            self.pending.unlink(missing_ok=True)
            raise
        _instant("computed")
        if sign == -1:
            entries = (*state.entries, Subtraction(direction, identity, now()))
        else:
            entries = tuple(entry for entry in state.entries if entry.direction != direction)
        self._edit("pending", state, entries)
        return True

    @property
    def interrupted(self) -> bool:
        """Whether an edit waits for `recover`."""
        return self.path.exists() and self._read().intent is not None

    def mend(self) -> None:
        """Make a chunk readable again whose header was lost in an edit; `recover` does the rest."""
        if self.interrupted:
            give_back(self.chunk_ms, (self._read().intent or {}).get("header", {}))

    def recover(self) -> bool:
        """Finish or drop an edit that was interrupted; to be called at each start.

        Returns
        -------
        bool
            True when an edit had to be finished.

        Raises
        ------
        FactorError
            When the ledger is missing or damaged, or the pending data are gone.
        """
        state = self._read()
        if state.intent is None:
            self.pending.unlink(missing_ok=True)
            return False
        self._finish(state)
        return True

    def reset_all(self) -> bool:
        """Go back to the data as they came: CORRECTED_DATA := DATA, no subtraction stands.

        An interrupted edit is dropped; a damaged or lost ledger is replaced.

        Returns
        -------
        bool
            False when nothing stood subtracted.
        """
        try:
            state = self._read()
        except FactorError:
            state = _State()
        else:
            if not state.entries and state.intent is None:
                self.pending.unlink(missing_ok=True)
                return False
        self._edit("pristine", state, ())
        return True

    def _edit(
        self, source: Literal["pending", "pristine"], state: _State, entries: tuple[Subtraction, ...]
    ) -> None:
        # An edit that this one replaces may have died with the chunk's own header.
        header = (state.intent or {}).get("header") or header_of(self.chunk_ms, _RESIDUAL)
        intent = {"source": source, "entries": [asdict(entry) for entry in entries], "header": header}
        noted = replace(state, intent=intent)
        self._write(noted)
        _instant("noted")
        self._finish(noted)

    def _finish(self, state: _State) -> None:
        intent = state.intent or {}
        if intent["source"] == "pending" and not self.pending.exists():
            raise FactorError(
                f"{self.pending} is missing, but {self.path} says that it was being written into "
                f"{self.chunk_ms}: the state of its {_RESIDUAL} is not known",
                f"delete {self.chunk_ms} (and start over without results/ and state/), "
                "Factor then makes the chunk again",
            )
        with writing(self.chunk_ms):
            give_back(self.chunk_ms, intent.get("header", {}))
            if intent["source"] == "pending":
                self._copy_pending()
            else:
                self._copy_pristine()
            sync_table(self.chunk_ms)
        _instant("copied")
        self._write(_State(_entries(intent)))
        _instant("recorded")
        self.pending.unlink(missing_ok=True)

    def _compute(self, difference: Difference, sign: int) -> None:
        """Write the new absolute values of the residual to the pending file."""
        n_chan = difference.stop_channel - difference.start_channel
        with ExitStack() as stack:
            chunk = stack.enter_context(open_table(self.chunk_ms))
            source = stack.enter_context(open_table(difference.ms))
            shape = (chunk.nrows(), *chunk.getcell(_RESIDUAL, 0).shape)
            self._check_shape(shape, source, difference)
            first, last = (difference.start_channel, 0), (difference.stop_channel - 1, shape[2] - 1)
            pending = np.lib.format.open_memmap(self.pending, mode="w+", dtype=np.complex64, shape=shape)
            reserve(self.pending)
            for start, count in _blocks(shape[0], n_chan * shape[2]):
                change = source.getcolslice(difference.column, first, last, (), start, count)
                old = chunk.getcol(_RESIDUAL, start, count)
                with np.errstate(over="ignore", invalid="ignore"):
                    new = (old + sign * change).astype(np.complex64)
                self._check_finite(difference, change, old, new)
                pending[start : start + count] = new
                _instant("computing")
            pending.flush()
            del pending
        with self.pending.open("rb") as stream:
            os.fsync(stream.fileno())
        sync_folder(self.pending.parent)

    def _check_shape(self, shape: tuple[int, ...], source: Table, difference: Difference) -> None:
        rows, n_chan, n_corr = shape
        found = source.getcell(difference.column, 0).shape if source.nrows() else (0, 0)
        span = f"channels {difference.start_channel} to {difference.stop_channel}"
        fits = (
            source.nrows() == rows
            and difference.start_channel >= 0
            and difference.stop_channel <= found[0]
            and difference.stop_channel - difference.start_channel == n_chan
            and found[1] == n_corr
        )
        if not fits:
            raise RefusedError(
                f"{difference.ms} ({source.nrows()} rows, {found[0]} channels, {found[1]} "
                f"correlations; {span}) does not fit {self.chunk_ms} ({rows} rows, {n_chan} "
                f"channels, {n_corr} correlations)"
            )

    def _check_finite(
        self,
        difference: Difference,
        change: np.ndarray[Any, Any],
        old: np.ndarray[Any, Any],
        new: np.ndarray[Any, Any],
    ) -> None:
        bad = int((~np.isfinite(change) | (np.isfinite(old) & ~np.isfinite(new))).sum())
        if bad:
            raise RefusedError(
                f"{difference.ms}: {bad} of {change.size} values of {difference.column} are not "
                f"finite; nothing was subtracted from {self.chunk_ms}",
                "run again: it is predicted anew; where that is refused as well, the model or the solutions "
                "behind it hold values that are not finite: reset the direction (-r)",
            )

    def _copy_pending(self) -> None:
        pending = np.load(self.pending, mmap_mode="r")
        with open_table(self.chunk_ms, readonly=False) as chunk:
            for start, count in _blocks(pending.shape[0], pending.shape[1] * pending.shape[2]):
                block = np.ascontiguousarray(pending[start : start + count])
                chunk.putcol(_RESIDUAL, block, start, count)
                _instant("copying")

    def _copy_pristine(self) -> None:
        with open_table(self.chunk_ms, readonly=False) as chunk:
            n_values = chunk.getcell(_PRISTINE, 0).size
            for start, count in _blocks(chunk.nrows(), n_values):
                chunk.putcol(_RESIDUAL, chunk.getcol(_PRISTINE, start, count), start, count)
                _instant("copying")

    def _settled(self) -> _State:
        state = self._read()
        if state.intent is not None:
            raise FactorError(
                f"{self.path}: an edit of {self.chunk_ms} was interrupted",
                "run runfactor again: it finishes the edit first",
            )
        return state

    def _remedy(self) -> str:
        return (
            "to begin again with the data as they came, delete results/ and state/ of the "
            f"working directory together with {self.chunk_ms}, and run again"
        )

    def _read(self) -> _State:
        state = read_value(self.path, LEDGER_VERSION, self._remedy(), _state)
        if state is None:
            raise FactorError(
                f"{self.path} is missing: what stands subtracted in {self.chunk_ms} is not known",
                self._remedy(),
            )
        return state

    def _write(self, state: _State) -> None:
        content = {
            "chunk": self.chunk_ms.name,
            "entries": [asdict(entry) for entry in state.entries],
            "intent": state.intent,
        }
        write_json(self.path, content, LEDGER_VERSION)


def _state(content: Mapping[str, Any]) -> _State:
    intent = content["intent"]
    if intent is not None and intent["source"] not in ("pending", "pristine"):
        raise ValueError(intent["source"])
    return _State(_entries(content), intent)


def _entries(content: Mapping[str, Any]) -> tuple[Subtraction, ...]:
    return tuple(Subtraction(e["direction"], e["identity"], e["when"]) for e in content["entries"])


def _blocks(n_rows: int, values_per_row: int) -> list[tuple[int, int]]:
    step = max(1, _BLOCK_VALUES // max(1, values_per_row))
    return [(start, min(step, n_rows - start)) for start in range(0, n_rows, step)]


def _instant(name: str) -> None:
    """Do nothing: tests replace it to die at an instant of an edit."""
