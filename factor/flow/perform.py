"""Doing an operation once: skipped when it is done, told when what shaped it has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from factor.errors import FactorError, NoRoomError
from factor.execution.context import Context

log = logging.getLogger("factor")


def perform(
    context: Context,
    settings: dict[str, Any],
    operate: Callable[[], dict[str, Any]],
    *,
    redo: bool,
) -> None:
    """Do an operation unless it is done; say so when what shaped it has changed.

    Parameters
    ----------
    context : Context
        Of the operation on its direction.
    settings : dict
        What shapes it: options and fingerprints of what it is made from.
    operate : callable
        Does it, and gives the results for the record.
    redo : bool
        Whether it is done again when the settings changed; what stands subtracted is not.
    """
    name = f"{context.operation} {context.direction}"
    if context.done:
        context.tidy()
        status = context.status(settings)
        context.note_stale(status.reasons)
        if status.state == "done":
            log.debug("%s: done", name)
            return
        if not redo:
            log.warning(
                "%s: done, and kept, though %s (to have it done again: -r %s)",
                name, "; ".join(status.reasons), context.direction,
            )  # fmt: skip
            return
        log.info("%s: is done again: %s", name, status)
    elif context.record.steps:
        log.info("%s: goes on, %d of its steps are there", name, len(context.record.steps))
    context.start(settings)
    try:
        context.finish(operate())
    except NoRoomError:
        raise
    except FactorError as error:
        context.fail(error)
        raise
    finally:
        context.leave()
