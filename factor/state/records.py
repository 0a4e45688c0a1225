"""What an operation did on a direction: values that are kept as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from factor.workspace import is_name

Status = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class StepRecord:
    """A finished step: it is skipped as long as its fingerprint holds and its outputs are there.

    Attributes
    ----------
    fingerprint : str
        Digest of the step's options and of what it reads.
    outputs : tuple of str
        Its files, as `Workspace.relative` writes them.
    started, finished : str
        ISO 8601 in UTC.
    cpu_s : float
        User and system time, children included.
    peak_memory_mb : float
        Largest memory of its process tree.
    log : str
        The log that has everything the tool said.
    released : bool
        Whether its outputs were deleted because no later step needs them.
    """

    fingerprint: str
    outputs: tuple[str, ...]
    started: str = ""
    finished: str = ""
    cpu_s: float = 0.0
    peak_memory_mb: float = 0.0
    log: str = ""
    released: bool = False

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> StepRecord:
        """Inverse of `Record.to_json`.

        Raises
        ------
        KeyError, TypeError, ValueError
            When an entry is missing or of the wrong kind.
        """
        return cls(
            fingerprint=_text(content, "fingerprint"),
            outputs=tuple(str(name) for name in content["outputs"]),
            started=_text(content, "started"),
            finished=_text(content, "finished"),
            cpu_s=float(content["cpu_s"]),
            peak_memory_mb=float(content["peak_memory_mb"]),
            log=_text(content, "log"),
            released=bool(content.get("released", False)),
        )


@dataclass(frozen=True)
class Record:
    """The state of one operation on one direction.

    Attributes
    ----------
    operation, direction : str
        What was done, and to which direction (``field`` for the whole field).
    status : {'running', 'done', 'failed'}
        ``running`` also stands in a record whose run was killed.
    started, finished : str
        ISO 8601 in UTC; ``finished`` is empty while it runs.
    settings : mapping
        The options that shaped it.
    inputs : mapping
        What else it was built on: ``<operation> <direction>``, and when that was finished.
    steps : mapping of str to StepRecord
        Its finished steps by name, in order.
    results : mapping
        JSON-able: verdict, products.
    error : str
        Why it failed.
    failure : mapping of str to str
        The same in parts: ``step``, ``message``, ``log`` and ``command``, as far as they are known.
    products : mapping of str to list
        Size, time (ns) and digest of each product, by path as `Workspace.relative` writes it.
    stale : tuple of str
        Why it would come out differently now, as the latest run found.
    running : mapping of str to str
        Steps that were begun and have not come to an end, with their start (ISO 8601 in UTC).
    """

    operation: str
    direction: str
    status: Status
    started: str
    finished: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    failure: Mapping[str, str] = field(default_factory=dict)
    running: Mapping[str, str] = field(default_factory=dict)
    products: Mapping[str, Any] = field(default_factory=dict)
    stale: tuple[str, ...] = ()

    def with_step(self, name: str, step: StepRecord) -> Record:
        """Give this record with one more finished step, which runs no longer.

        Parameters
        ----------
        name : str
            Name of the step; an older one of that name is replaced.
        step : StepRecord
            What it did.
        """
        running = {other: start for other, start in self.running.items() if other != name}
        return replace(self, steps={**self.steps, name: step}, running=running)

    def with_start(self, name: str, when: str) -> Record:
        """Give this record with a step that was begun.

        What is known of it from an earlier time is dropped: after a death, half an output
        must not pass for a whole one.
        """
        steps = {other: step for other, step in self.steps.items() if other != name}
        return replace(self, steps=steps, running={**self.running, name: when})

    def with_released(self, names: Collection[str]) -> Record:
        """Give this record with steps whose outputs are needed no longer."""
        steps = {n: replace(step, released=step.released or n in names) for n, step in self.steps.items()}
        return replace(self, steps=steps)

    def to_json(self) -> dict[str, Any]:
        """Give the JSON-able form."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Record:
        """Inverse of `to_json`.

        Raises
        ------
        KeyError, TypeError, ValueError
            When an entry is missing or of the wrong kind.
        """
        status = _text(content, "status")
        if status not in get_args(Status):
            raise ValueError(f"status '{status}'")
        return cls(
            operation=_name(content, "operation"),
            direction=_name(content, "direction"),
            status=cast(Status, status),
            started=_text(content, "started"),
            finished=_text(content, "finished"),
            settings=_mapping(content, "settings"),
            inputs=_mapping(content, "inputs"),
            steps={name: StepRecord.from_json(step) for name, step in _mapping(content, "steps").items()},
            results=_mapping(content, "results"),
            error=_text(content, "error"),
            # Records of earlier versions have none of these.
            failure=_texts(content, "failure"),
            running=_texts(content, "running"),
            products=dict(content.get("products", {})),
            stale=tuple(str(reason) for reason in content.get("stale", ())),
        )


def now() -> str:
    """The time as records hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content[key]
    if not isinstance(value, str):
        raise TypeError(f"'{key}' is not a text")
    return value


def _name(content: Mapping[str, Any], key: str) -> str:
    name = _text(content, key)
    if not is_name(name):
        # It becomes part of a path.
        raise ValueError(f"'{key}' is '{name}'")
    return name


def _mapping(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = content[key]
    if not isinstance(value, dict):
        raise TypeError(f"'{key}' is not a mapping")
    return value


def _texts(content: Mapping[str, Any], key: str) -> dict[str, str]:
    return {str(name): str(text) for name, text in content.get(key, {}).items()}
