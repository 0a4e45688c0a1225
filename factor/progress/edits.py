"""How far a subtraction is, by the ledgers beside the chunks."""

from __future__ import annotations

from contextlib import suppress

from factor.errors import FactorError
from factor.state.ledger import LEDGER_VERSION
from factor.state.store import read_json
from factor.workspace import Workspace


def subtracted_from(workspace: Workspace, direction: str) -> tuple[int, int]:
    """Count the files of chunks from which a direction stands subtracted, and all files."""
    done, total = 0, 0
    for path in workspace.chunks.glob("*/*.ledger.json"):
        content = None
        with suppress(FactorError):  # the run itself will tell
            content = read_json(path, LEDGER_VERSION, "")
        entries = (content or {}).get("entries", [])
        done += any(isinstance(entry, dict) and entry.get("direction") == direction for entry in entries)
        total += 1
    return done, total
