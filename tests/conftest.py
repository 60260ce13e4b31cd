"""Fixtures that all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared speech and reference vectors; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("MRLSPK_SHARED", "../shared")).absolute()
    if not (folder / "speech").is_dir():
        message = f"needs the shared speech data, not found at {folder} (set MRLSPK_SHARED)"
        if os.environ.get("MRLSPK_REQUIRE_SHARED") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder
