"""What a run would be, without training or writing anything."""

from collections.abc import Collection

from mrlspk.config import Config
from mrlspk.config.launch import Launch
from mrlspk.distributed import Ranks
from mrlspk.training.checkpoints.resume import configure_resumed
from mrlspk.training.checkpoints.run_folder import find_run
from mrlspk.training.memory.auto_batch import choose_batch
from mrlspk.training.prepare import prepare
from mrlspk.training.prepared import Source
from mrlspk.training.records import RunFacts
from mrlspk.training.start import ALONE, build_fabric


def plan_training(
    config: Config, source: Source, *, launch: Launch = ALONE, named_keys: Collection[str] = ()
) -> RunFacts:
    """Build every part of a run in this process and return its sizes; the arguments and errors are those of `train`."""
    config, resumed = configure_resumed(
        source.resume, config, named_keys=named_keys, allow_changes=source.allow_changes
    )
    hardware = config.hardware
    processes = (launch.processes or hardware.devices) * (launch.nodes or hardware.nodes)
    fabric = build_fabric(hardware.model_copy(update={"devices": 1, "nodes": 1}))
    planned = Ranks(0, processes, fabric.device, are_started=False)
    config = choose_batch(config, cache_dir=source.cache_dir, mirror=source.mirror, ranks=planned)
    folder = find_run(config.logging, source.resume)
    return prepare(config, fabric, planned, source=source, folder=folder, resumed=resumed).facts
