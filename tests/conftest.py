"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from factor import log


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    """No test inherits another one's log file."""
    yield
    log.close()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real LOFAR data; tests that need it are skipped without it."""
    folder = os.environ.get("FACTOR_TEST_DATA")
    if not folder:
        pytest.skip("FACTOR_TEST_DATA names no folder with real data")
    path = Path(folder)
    assert path.is_dir(), f"FACTOR_TEST_DATA = {folder} is not a folder"
    return path
