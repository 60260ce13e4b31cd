"""What a run would be, without training or writing anything."""

from collections.abc import Collection
from pathlib import Path

from mrlspk.config import Config
from mrlspk.training.prepare import prepare
from mrlspk.training.records import RunFacts
from mrlspk.training.resume import resumed_config


def plan_training(
    config: Config,
    *,
    cache_dir: Path,
    mirror: str | None = None,
    resume: str = "never",
    named_keys: Collection[str] = (),
    max_batches: int | None = None,
) -> RunFacts:
    """Build every part of a run and return its sizes; the arguments and errors are those of `train`."""
    config = resumed_config(resume, config, named_keys=named_keys)
    return prepare(config, cache_dir=cache_dir, mirror=mirror, resume=resume, max_batches=max_batches).facts
