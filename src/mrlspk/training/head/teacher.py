"""Another model whose similarities a head is taught."""

from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.build import TrainingData
from mrlspk.distributed import Ranks
from mrlspk.inference.loading import load_located
from mrlspk.inference.locate import locate_model
from mrlspk.training.head.batches import Teacher
from mrlspk.training.head.stores import OnStage, Stores


def build_teacher(
    config: Config,
    data: TrainingData,
    *,
    cache_dir: Path,
    mirror: str | None,
    on_stage: OnStage | None,
    ranks: Ranks,
) -> Teacher | None:
    """Return the configured teacher, its vectors of the same crops stored by all processes; None where there is none.

    Raises:
        CheckpointError: If it is no whole model.
        DownloadError: If it is a published model that cannot be fetched.
    """
    if config.loss.distillation_teacher is None or not config.distillation_weight:
        return None
    file = locate_model(str(config.loss.distillation_teacher), cache_dir=cache_dir, mirror=mirror)
    encoder = load_located(file).encoder.to(ranks.device)
    return Teacher(Stores(config, encoder, on_stage, ranks).crops(data), encoder.cpu().folded_head())
