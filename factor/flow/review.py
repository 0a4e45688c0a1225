"""``interactive``: the user looks at directions and facets before anything is calibrated."""

from __future__ import annotations

import sys

from factor.errors import InputError, Interrupted
from factor.observation.model import Observation
from factor.operations.layout.choosing import directions_file
from factor.operations.layout.field import lay_out
from factor.parset import Settings
from factor.workspace import Workspace


def wants_review(settings: Settings, workspace: Workspace) -> bool:
    """Whether this run asks the user: once something is calibrated, the facets stay as they are.

    Raises
    ------
    InputError
        When it should, but there is nobody to be asked.
    """
    if not settings.globals.interactive or workspace.records():
        return False
    if not sys.stdin.isatty():
        raise InputError(
            f"{settings.path}: [global] interactive = True: the input is no terminal, so nobody can be asked",
            "run it in a terminal, or set interactive = False (runfactor -d shows the plan)",
        )
    return True


def review(settings: Settings, workspace: Workspace, observation: Observation) -> None:
    """Lay out the field as often as the user edits the directions.

    Parameters
    ----------
    settings : Settings
        The parset.
    workspace : Workspace
        The working directory, which gets the region files.
    observation : Observation
        Bands and chunks; the chunks need not be there yet.

    Raises
    ------
    Interrupted
        When the user wants to stop.
    """
    while True:
        found, good = _look(settings, workspace, observation)
        choices = ("Enter to go on, " if good else "") + "r to read it again, q to stop: "
        answer = _ask(
            f"\n{found}\nThe directions are in {directions_file(settings, workspace)}, which may be "
            f"edited now.\n{choices}"
        )
        if answer == "q":
            raise Interrupted("stopped before anything was calibrated, as asked", "run again to go on")
        if good and answer == "":
            return


def _look(settings: Settings, workspace: Workspace, observation: Observation) -> tuple[str, bool]:
    """What came of the directions, and whether a run can go on with it."""
    try:
        facets = lay_out(settings, workspace, observation).facets
    except InputError as error:
        if not directions_file(settings, workspace).exists():
            raise
        return str(error), False
    patches = sum(facet.is_patch for facet in facets)
    return (
        f"{len(facets) - patches} facets and {patches} patches, drawn in\n  {workspace.facets_region}\n"
        f"  {workspace.calimages_region}",
        True,
    )


def _ask(question: str) -> str:
    """The user's answer; the end of the input is a wish to stop."""
    try:
        return input(question).strip().lower()
    except EOFError:
        return "q"
