"""Results as JSON lines: a study that was stopped computes only what is missing."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LISTS = "lists"  # the fold of the development lists, fitted to all speakers


@dataclass(frozen=True)
class Job:
    """What one result is of.

    Attributes:
        backbone: Its name.
        recipe: Its name.
        seed: From 0.
        fold: A number, ``without CORPUS``, or `LISTS`.
        inputs: Checksum of vectors and labels.
    """

    backbone: str
    recipe: str
    seed: int
    fold: str
    inputs: int


type Rates = Mapping[str, list[float]]


class Results:
    """The results of a file; new ones are appended as soon as they are there.

    Args:
        path: Of the file. A line that a stop has cut is dropped.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rates: dict[Job, Rates] = {}
        kept = []
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                entry: dict[str, Any] = json.loads(line)
            except json.JSONDecodeError:
                continue
            kept.append(line)
            self.rates[Job(**{name: entry[name] for name in Job.__dataclass_fields__})] = entry["eer"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in kept))

    def __contains__(self, job: Job) -> bool:
        return job in self.rates

    def add(self, job: Job, rates: Rates) -> None:
        """Append a result."""
        self.rates[job] = rates
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(job) | {"eer": rates}) + "\n")

    def backbones(self) -> dict[str, int]:
        """Return the checksum of each backbone's last inputs."""
        return {job.backbone: job.inputs for job in self.rates}

    def of(self, backbone: str, recipe: str, inputs: int) -> dict[str, list[Rates]]:
        """Return the results of a recipe by fold, one for each seed."""
        found: dict[str, list[Rates]] = {}
        for job, rates in self.rates.items():
            if (job.backbone, job.recipe, job.inputs) == (backbone, recipe, inputs):
                found.setdefault(job.fold, []).append(rates)
        return found
