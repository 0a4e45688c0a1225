"""What tools say of their fate, in their own words."""

from __future__ import annotations

import pytest

from factor.tools.watchers import advice, fatal_line, last_error

#: As WSClean 3.1 says it (with one r).
WSCLEAN = """ == Constructing PSF ==
+ + + + + + + + + + + + + + + + + + +
+ An exception occured:
+ >>> Error: the mask has wrong dimensions
+ + + + + + + + + + + + + + + + + + +
""".splitlines(keepends=True)

DP3 = """Traceback (most recent call last):
  File "/opt/bin/DP3.py", line 10, in <module>
    dp3.execute(sys.argv)
RuntimeError: Column DATAX doesn't exist in a.ms
""".splitlines(keepends=True)


def test_wsclean_that_ends_with_success() -> None:
    """Its message counts, whatever its exit status."""
    assert fatal_line("WSClean", WSCLEAN) is not None
    assert "the mask has wrong dimensions" in last_error("WSClean", WSCLEAN)


@pytest.mark.parametrize("spelling", ["occured", "occurred"])
def test_both_spellings(spelling: str) -> None:
    """Should WSClean ever correct its spelling, its failures are still seen."""
    assert fatal_line("WSClean", [f"+ An exception {spelling}:\n"])


def test_double_free() -> None:
    """The C library's last words."""
    lines = ["Cleaning...\n", "free(): double free detected in tcache 2\n"]
    assert fatal_line("WSClean", lines)
    assert "double free" in last_error("WSClean", lines)


def test_dp3_last_line() -> None:
    """DP3's message is in the last line of Python's traceback."""
    assert last_error("DP3", DP3) == "Column DATAX doesn't exist in a.ms"
    assert fatal_line("DP3", DP3)


def test_success_is_not_taken_for_failure() -> None:
    """Words like error in the log of a good run mean nothing."""
    good = ["Estimated error: 0.1 mJy\n", "Fitting beam... exception list is empty\n", "Cleaning up\n"]
    assert fatal_line("WSClean", good) is None
    assert fatal_line("DP3", ["Flags set by msin: 2%\n", "error 0 in file RuntimeError.log\n"]) is None


@pytest.mark.parametrize("tool", ["DP3", "WSClean", "another"])
def test_silent_tool(tool: str) -> None:
    """A killed tool says nothing: that is said."""
    assert last_error(tool, []) == "it said nothing"
    assert last_error(tool, ["\n", "reading a.ms\n"]) == "reading a.ms"


def test_advice() -> None:
    """What is well known to help is said; nothing is invented for the rest."""
    assert "make room" in advice("DP3: write failed: No space left on device")
    assert "wsclean_fmem" in advice("WSClean was ended by SIGKILL: it said nothing")
    assert "wsclean_fmem" in advice("WSClean: std::bad_alloc")
    assert advice("DP3: unknown step type") == ""


def test_wsclean_tells_its_reason_in_a_box() -> None:
    """The frame around a reason is none."""
    frame = " ".join(19 * "+")
    reason = "The auto-masking threshold was smaller or equal to the auto-threshold."
    said = [frame, "+ An exception occured:", f"+ >>> {reason}", frame]
    assert fatal_line("WSClean", said) is not None
    assert last_error("WSClean", said) == reason
