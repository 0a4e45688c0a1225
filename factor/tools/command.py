"""A tool call as a value: what would run, before anything does."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """One call of DP3 or WSClean.

    Attributes
    ----------
    tool : str
        ``"DP3"`` or ``"WSClean"``: names the watcher that reads its log.
    argv : tuple of str
        Program and arguments that decide the result.
    resources : tuple of str
        Arguments that do not change the result (threads, memory, temporary folder):
        not part of a step's fingerprint. They follow the program's name.
    environment : tuple of (name, value)
        Variables that the process needs beside the user's own.
    outputs : tuple of Path
        Files or measurement sets that it must leave behind.
    by_products : tuple of Path
        What else it may leave, as patterns of names: deleted at its end.
    """

    tool: str
    argv: tuple[str, ...]
    resources: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    outputs: tuple[Path, ...] = ()
    by_products: tuple[Path, ...] = ()

    def clean_up(self) -> None:
        """Delete what is not among the outputs."""
        for pattern in self.by_products:
            for path in pattern.parent.glob(pattern.name):
                if path not in self.outputs:
                    path.unlink(missing_ok=True)

    @property
    def full_argv(self) -> tuple[str, ...]:
        return (self.argv[0], *self.resources, *self.argv[1:])

    def paste(self) -> str:
        """The call as a line for a shell."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment]
        return " ".join(["env", *variables, shlex.join(self.full_argv)])
