"""Fixtures that all tests share."""

import os
from collections import Counter
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest files first where workers share them, so that none is left with a long one at the end."""
    if not hasattr(config, "workerinput"):
        return
    seconds: Counter[Path] = Counter()
    for item in items:
        seconds[item.path] += 4 if item.get_closest_marker("slow") else 2 if item.get_closest_marker("process") else 0.1
    items.sort(key=lambda item: (-seconds[item.path], item.path))
