"""Subtractions happen exactly once, whatever dies when."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pytest

from factor.errors import FactorError
from factor.state import ledger as ledger_module
from factor.state import store
from factor.state.ledger import Difference, Ledger
from factor.state.table import header_of
from factor.workspace import Workspace

Read = Callable[[Path, str], np.ndarray]
Make = Callable[..., Path]


@pytest.fixture
def ledger(workspace: Workspace, chunk: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(ledger_module, "_BLOCK_VALUES", 5 * 16)
    created = Ledger(workspace, chunk)
    created.create()
    return created


def _second_band(path: Path) -> Difference:
    return Difference(path, 4, 8)


def _residual_is(ledger: Ledger, read: Read, subtracted: complex) -> bool:
    pristine = read(ledger.chunk_ms, "DATA")
    return np.array_equal(read(ledger.chunk_ms, "CORRECTED_DATA"), pristine - subtracted)


def test_subtract_and_undo(ledger: Ledger, read_column: Read, make_difference: Make) -> None:
    """What was subtracted can be added back, and only the residual ever changes."""
    before = {name: read_column(ledger.chunk_ms, name) for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM")}
    one, two = _second_band(make_difference("one", 3)), _second_band(make_difference("two", 5j))
    empty = ledger.state_id()
    assert ledger.apply("a", one, -1, "m1")
    only_a = ledger.state_id()
    assert ledger.apply("b", two, -1, "m2")
    assert [entry.direction for entry in ledger.subtracted()] == ["a", "b"]
    assert _residual_is(ledger, read_column, 3 + 5j)
    assert ledger.apply("b", two, 1, "m2")
    assert ledger.state_id() == only_a != empty
    assert _residual_is(ledger, read_column, 3)
    for name, values in before.items():
        assert np.array_equal(read_column(ledger.chunk_ms, name), values)


def test_state_does_not_depend_on_order(ledger: Ledger, make_difference: Make) -> None:
    """Undoing and repeating an early subtraction must not make later steps stale."""
    one, two = _second_band(make_difference("one", 3)), _second_band(make_difference("two", 5j))
    ledger.apply("a", one, -1, "m1")
    ledger.apply("b", two, -1, "m2")
    both = ledger.state_id()
    ledger.apply("a", one, 1, "m1")
    ledger.apply("a", one, -1, "m1")
    assert ledger.state_id() == both


def test_second_time_does_nothing(ledger: Ledger, read_column: Read, make_difference: Make) -> None:
    """A resumed facetsub repeats its edit: it must not count twice, nor its undo."""
    difference = _second_band(make_difference("one", 3))
    assert ledger.apply("a", difference, -1, "m1")
    assert not ledger.apply("a", difference, -1, "m1")
    assert _residual_is(ledger, read_column, 3)
    assert ledger.apply("a", difference, 1, "m1")
    assert not ledger.apply("a", difference, 1, "m1")
    assert _residual_is(ledger, read_column, 0)


@pytest.mark.parametrize("sign", [-1, 1])
def test_other_version_is_refused(
    ledger: Ledger, read_column: Read, make_difference: Make, sign: int
) -> None:
    """A model that changed meanwhile must neither be added on top nor taken out."""
    difference = _second_band(make_difference("one", 3))
    ledger.apply("a", difference, -1, "m1")
    with pytest.raises(FactorError, match="another version of direction a"):
        ledger.apply("a", difference, sign, "m2")
    assert _residual_is(ledger, read_column, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, np.nan)])
def test_non_finite_is_refused(
    ledger: Ledger, read_column: Read, make_difference: Make, value: complex
) -> None:
    """One flagged solution must not destroy data: everything stays as it was."""
    with pytest.raises(FactorError, match="not finite"):
        ledger.apply("a", _second_band(make_difference("bad", value)), -1, "m1")
    assert _residual_is(ledger, read_column, 0)
    assert ledger.subtracted() == ()
    assert not ledger.pending.exists()


def test_full_disk(
    ledger: Ledger, make_difference: Make, read_column: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk without room for the new values is told of, and leaves the chunk as it was."""

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(FactorError, match="No space left"):
        ledger.apply("a", _second_band(make_difference("one", 3)), -1, "m1")
    assert not ledger.pending.exists()
    assert ledger.subtracted() == ()
    assert _residual_is(ledger, read_column, 0)


def test_disk_that_fails_in_the_middle(
    ledger: Ledger, make_difference: Make, read_column: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota that is reached while the chunk itself is written: told in words, and finished later."""

    def full(_: Path) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "sync_table", full)
        with pytest.raises(FactorError, match=r"field_chunk0.ms can't be written: Disk quota exceeded"):
            ledger.apply("a", _second_band(make_difference("one", 3)), -1, "m1")
    assert ledger.recover()
    assert _residual_is(ledger, read_column, 3)


def test_data_that_were_not_finite_before(ledger: Ledger, make_difference: Make, read_column: Read) -> None:
    """Flagged visibilities may be NaN from the telescope on: no reason to refuse."""
    from casacore import tables

    with tables.table(str(ledger.chunk_ms), readonly=False, ack=False) as main:
        residual = main.getcol("CORRECTED_DATA")
        residual[3] = np.nan
        main.putcol("CORRECTED_DATA", residual)
    assert ledger.apply("a", _second_band(make_difference("one", 3)), -1, "m1")
    assert np.array_equal(np.isnan(read_column(ledger.chunk_ms, "CORRECTED_DATA")), np.isnan(residual))


def test_wrong_shape_is_refused(ledger: Ledger, make_difference: Make) -> None:
    """Another chunk's difference, or another band's channels, must not be taken."""
    with pytest.raises(FactorError, match="does not fit"):
        ledger.apply("a", _second_band(make_difference("short", 3, rows=11)), -1, "m1")
    with pytest.raises(FactorError, match="does not fit"):
        ledger.apply("a", Difference(make_difference("one", 3), 5, 9), -1, "m1")


def _dies_at(n: int, action: Callable[[], object]) -> bool:
    """Run an action in a child that is killed at its nth instant; False when it came through."""
    child = os.fork()
    if child == 0:
        passed = 0

        def die(*_: object) -> None:
            nonlocal passed
            passed += 1
            if passed == n:
                os.kill(os.getpid(), signal.SIGKILL)

        sync = os.fsync

        def fsync(descriptor: int) -> None:
            die()
            sync(descriptor)

        ledger_module._instant = die
        store.os.fsync = fsync
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("kind", ["subtract", "undo", "reset"])
def test_killed_at_any_instant(
    ledger: Ledger, read_column: Read, make_difference: Make, kind: str
) -> None:
    """After a kill -9 at every instant of an edit, data and ledger agree and the edit can be repeated."""
    one, two = _second_band(make_difference("one", 3)), _second_band(make_difference("two", 5j))
    ledger.apply("a", one, -1, "m1")
    if kind != "subtract":
        ledger.apply("b", two, -1, "m2")
    actions: dict[str, Callable[[], object]] = {
        "subtract": lambda: ledger.apply("b", two, -1, "m2"),
        "undo": lambda: ledger.apply("b", two, 1, "m2"),
        "reset": ledger.reset_all,
    }
    values = {"": 0, "a": 3, "ab": 3 + 5j}
    final = {"subtract": "ab", "undo": "a", "reset": ""}[kind]
    n, finished = 0, 0
    while True:
        n += 1
        died = _dies_at(n, actions[kind])
        finished += ledger.recover()
        standing = "".join(entry.direction for entry in ledger.subtracted())
        assert _residual_is(ledger, read_column, values[standing]), f"instant {n}"
        assert not ledger.pending.exists()
        if not died:
            break
        actions[kind]()
        assert "".join(entry.direction for entry in ledger.subtracted()) == final, f"instant {n}"
        assert _residual_is(ledger, read_column, values[final]), f"instant {n}"
        ledger.reset_all()
        ledger.apply("a", one, -1, "m1")
        if kind != "subtract":
            ledger.apply("b", two, -1, "m2")
    assert n > 8
    assert finished > 0


def test_killed_while_recovering(ledger: Ledger, read_column: Read, make_difference: Make) -> None:
    """The recovery itself may die, any number of times."""
    difference = _second_band(make_difference("one", 3))
    n = 1
    while _dies_at(n, lambda: ledger.apply("a", difference, -1, "m1")):
        if json.loads(ledger.path.read_text())["intent"]:
            break
        n += 1
    k = 1
    while _dies_at(k, ledger.recover):
        k += 1
    ledger.recover()
    assert k > 3
    assert _residual_is(ledger, read_column, 3)
    assert [entry.direction for entry in ledger.subtracted()] == ["a"]


def test_interrupted_edit_must_be_recovered_first(ledger: Ledger, make_difference: Make) -> None:
    """Nothing reads the state of a chunk that is half edited."""
    content = json.loads(ledger.path.read_text())
    content["intent"] = {"source": "pending", "entries": []}
    ledger.path.write_text(json.dumps(content))
    for action in (ledger.subtracted, ledger.state_id):
        with pytest.raises(FactorError, match="interrupted"):
            action()
    with pytest.raises(FactorError, match="interrupted"):
        ledger.apply("a", _second_band(make_difference("one", 3)), -1, "m1")
    with pytest.raises(FactorError, match=r"pending\.npy is missing"):
        ledger.recover()


def test_reset_repairs_a_lost_ledger(ledger: Ledger, read_column: Read, make_difference: Make) -> None:
    """Without its ledger a chunk's residual is unknown: refused until it is reset."""
    ledger.apply("a", _second_band(make_difference("one", 3)), -1, "m1")
    ledger.path.unlink()
    with pytest.raises(FactorError, match="is missing"):
        ledger.state_id()
    assert ledger.reset_all()
    assert _residual_is(ledger, read_column, 0)
    assert not ledger.reset_all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"version": 99}', "format 99"),
        ('{"version": 1, "entr', "is damaged"),
        ("[]", "names no version"),
        ('{"version": 1}', "missing entry 'intent'"),
        ('{"version": 1, "intent": null, "entries": [{"direction": "a"}]}', "missing entry 'identity'"),
    ],
)
def test_unreadable_ledger(ledger: Ledger, text: str, message: str) -> None:
    """A ledger that can't be understood is named, never taken for an empty one."""
    ledger.path.write_text(text)
    with pytest.raises(FactorError, match=message) as caught:
        ledger.subtracted()
    assert str(ledger.path) in str(caught.value)
    assert caught.value.hint


class _Chunk:
    """A ledger with four directions, of which any may be subtracted, undone, or all reset."""

    #: Sums of any of them are exact in single precision.
    VALUES: ClassVar[dict[str, complex]] = {"a": 3, "b": 5j, "c": 16 + 2j, "d": -7}

    def __init__(self, ledger: Ledger, make_difference: Make) -> None:
        self.ledger = ledger
        self._differences = {
            name: _second_band(make_difference(name, value)) for name, value in self.VALUES.items()
        }

    def standing(self) -> set[str]:
        return {entry.direction for entry in self.ledger.subtracted()}

    def act(self, name: str, sign: Literal[-1, 0, 1]) -> object:
        """Subtract (-1) or undo (1) a direction, or reset all (0)."""
        if sign == 0:
            return self.ledger.reset_all()
        return self.ledger.apply(name, self._differences[name], sign, f"model of {name}")

    def wanted(self, name: str, sign: int) -> set[str]:
        """What stands after an action."""
        if sign == 0:
            return set()
        return self.standing() | {name} if sign == -1 else self.standing() - {name}

    def is_consistent(self, read: Read) -> bool:
        """Whether the residual is the data less what the ledger says, each once."""
        total = sum((self.VALUES[name] for name in self.standing()), 0j)
        return len(self.ledger.subtracted()) == len(self.standing()) and _residual_is(
            self.ledger, read, total
        )


def test_hundreds_of_kills(ledger: Ledger, read_column: Read, make_difference: Make) -> None:
    """Subtractions, undoings and resets in any order, killed anywhere, their recoveries as well."""
    chunk, random, killed = _Chunk(ledger, make_difference), np.random.default_rng(4), 0
    while killed < 200:
        name, sign = str(random.choice(list("abcd"))), (-1, -1, 1, 1, 0)[random.integers(5)]
        before, after = chunk.standing(), chunk.wanted(name, sign)
        died = _dies_at(int(random.integers(1, 16)), partial(chunk.act, name, sign))
        killed += died
        while died and random.random() < 0.4 and _dies_at(int(random.integers(1, 8)), ledger.recover):
            killed += 1
        ledger.recover()
        assert chunk.standing() in ((before, after) if died else (after,))
        if died and random.random() < 0.5:
            # The next run does what this one was about to.
            chunk.act(name, sign)
            assert chunk.standing() == after
        assert chunk.is_consistent(read_column), f"after {killed} kills"
        assert not ledger.pending.exists()


def test_killed_while_casacore_closes_the_chunk(
    workspace: Workspace, chunk: Path, make_difference: Make, read_column: Read
) -> None:
    """It empties the column's header and writes it anew: between the two only the ledger has it."""
    ledger = Ledger(workspace, _tiled(chunk))
    ledger.create()
    header = next(iter(header_of(ledger.chunk_ms, "CORRECTED_DATA")))
    difference = _second_band(make_difference("one", 3))
    for again in (ledger.recover, ledger.reset_all):
        child = os.fork()
        if child == 0:
            ledger_module._instant = lambda name: os._exit(0) if name == "copied" else None
            ledger.apply("a", difference, -1, "m1")
        os.waitpid(child, 0)
        (ledger.chunk_ms / header).write_bytes(b"")
        assert again()
        assert _residual_is(ledger, read_column, 3 if again == ledger.recover else 0)
        ledger.reset_all()


def _tiled(chunk: Path) -> Path:
    """The same chunk as Factor stores it."""
    from casacore import tables

    path = chunk.with_name("tiled_chunk0.ms")
    with tables.table(str(chunk), ack=False) as main:
        info = {
            f"*{i}": {"TYPE": "TiledColumnStMan", "NAME": f"Tiled{name}", "SEQNR": i, "COLUMNS": [name],
                      "SPEC": {"DEFAULTTILESHAPE": [4, 4, 12]}}
            for i, name in enumerate(main.colnames())
        }  # fmt: skip
        description = tables.maketabdesc(
            [
                tables.makearrcoldesc(
                    name, main.getcol(name).flat[0], 2, main.getcell(name, 0).shape, "TiledColumnStMan",
                    f"Tiled{name}", valuetype=main.coldatatype(name),
                )
                for name in main.colnames()
            ]
        )  # fmt: skip
        with tables.table(str(path), description, dminfo=info, nrow=main.nrows(), ack=False) as copy:
            for name in main.colnames():
                copy.putcol(name, main.getcol(name))
    return path
