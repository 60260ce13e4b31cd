"""Plan a run: build all of it, show its sizes, train and write nothing."""

from collections.abc import Collection
from pathlib import Path

from mrlspk.config import Config
from mrlspk.config.launcher import Launch
from mrlspk.distributed import Ranks
from mrlspk.training.checkpoints.resume_point import find_run
from mrlspk.training.checkpoints.resumed_config import configure_resumed
from mrlspk.training.corpus_sizes import choose_sizes
from mrlspk.training.hardware import ALONE, build_fabric
from mrlspk.training.memory.auto_batch import choose_batch
from mrlspk.training.plan import RunPlan, choose_widths, read_data, warn_of_unused_corpora
from mrlspk.training.prepare import prepare
from mrlspk.training.records import RunFacts
from mrlspk.training.start_model import configure_start, find_start
from mrlspk.training.state import describe_run


def plan_training(
    config: Config,
    *,
    cache_dir: Path | None,
    mirror: str | None = None,
    resume: str = "never",
    allow_changes: bool = False,
    max_batches: int | None = None,
    launch: Launch = ALONE,
    named_keys: Collection[str] = (),
) -> RunFacts:
    """Build every part of a run in this process and return its sizes; arguments and errors are those of `train`."""
    config, resumed = configure_resumed(resume, config, named_keys=named_keys, allow_changes=allow_changes)
    hardware = config.hardware
    processes = (launch.processes or hardware.devices) * (launch.nodes or hardware.nodes)
    fabric = build_fabric(hardware.model_copy(update={"devices": 1, "nodes": 1}))
    planned = Ranks(0, processes, fabric.device, are_started=False)
    start = None if resumed else find_start(config, cache_dir=cache_dir, mirror=mirror)
    config = configure_start(config, start)
    config = choose_batch(config, cache_dir=cache_dir, mirror=mirror, ranks=planned)
    run_dir, resume_path = find_run(config.logging, resume, is_planned=True)
    warn_of_unused_corpora(config, named_keys)
    data = read_data(config)
    config = choose_widths(config, data, start)
    plan = RunPlan(
        choose_sizes(config, data, n_processes=processes, max_batches=max_batches),
        data,
        run_dir,
        cache_dir=cache_dir,
        mirror=mirror,
        resume_path=resume_path,
        allow_changes=allow_changes,
        max_batches=max_batches,
        start=start,
    )
    return describe_run(prepare(plan, fabric, planned, resumed=resumed))
