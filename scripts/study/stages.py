"""Cache the stages of a study under the fingerprint of their inputs, so that a stopped study resumes."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mrlspk.files import whole_file


def fingerprint(inputs: Mapping[str, Any]) -> str:
    """Return a short hash of plain values; equal values have equal hashes."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()[:16]


class Stages:
    """Compute missing stages and store them as JSON.

    Args:
        folder: Folder of the results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.n_reused = self.n_made = 0

    def result(self, name: str, inputs: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the result of a stage, from the cache if its inputs were the same."""
        path = self.folder / f"{name}-{fingerprint(inputs)}.json"
        if path.is_file():
            self.n_reused += 1
        else:
            content = make()
            with whole_file(path, force=True) as partial:
                partial.write_text(json.dumps({"inputs": inputs, "result": content}, indent=1, default=str))
            self.n_made += 1
        found: dict[str, Any] = json.loads(path.read_text())["result"]
        return found
