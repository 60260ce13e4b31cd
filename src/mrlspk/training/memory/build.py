"""The passes that a configuration means, from the model that it names."""

from pathlib import Path

import torch

from mrlspk.config import Config
from mrlspk.inference.loading import load_located
from mrlspk.training.acceleration import set_tf32
from mrlspk.training.memory.pooling_probe import build_pooling_probe
from mrlspk.training.memory.probe import Probe
from mrlspk.training.memory.train_probe import build_train_probe
from mrlspk.training.start import build_start, origin_checkpoint


def build_probe(
    config: Config, device: torch.device, *, n_speakers: int, n_processes: int, cache_dir: Path, mirror: str | None
) -> Probe:
    """Return what a run of ``config`` does over and over with crops, in this process alone; torch is set up as for it.

    Args:
        config: Whose batch size does not count.
        device: Where it is to run; on a CPU it counts what a GPU would do.
        n_speakers: Classes of the loss.
        n_processes: That share the work.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.

    Raises:
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    torch.use_deterministic_algorithms(config.deterministic)
    set_tf32(allowed=config.hardware.tf32)
    origin = origin_checkpoint(config, cache_dir=cache_dir, mirror=mirror)
    encoder = build_start(config, load_located(origin) if origin else None).encoder
    if config.trains_head_alone:
        return build_pooling_probe(config, encoder, device=device)
    return build_train_probe(config, encoder, device=device, n_speakers=n_speakers, n_processes=n_processes)
