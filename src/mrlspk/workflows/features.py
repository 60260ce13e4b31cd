"""Store the pooled vectors that a head run needs, before the run."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config
from mrlspk.data.left_out import LeftOut
from mrlspk.errors import UsageError
from mrlspk.feature_store.store import FeatureStore
from mrlspk.training.all_speakers import only_held_out
from mrlspk.training.checkpoints.resume_point import find_run
from mrlspk.training.corpus_sizes import choose_sizes
from mrlspk.training.hardware import build_fabric
from mrlspk.training.head.head_run import store_vectors
from mrlspk.training.head.pooled_vectors import AudioStores, OnStage, load_teacher
from mrlspk.training.memory.auto_batch import choose_batch
from mrlspk.training.network.lora import without_adapters
from mrlspk.training.plan import RunPlan, choose_widths, read_data
from mrlspk.training.prepare import prepare
from mrlspk.training.processes import launch as start_processes
from mrlspk.training.start_model import configure_start, find_start
from mrlspk.training.validation import build_validation_trials


@dataclass(frozen=True)
class StoredFeatures:
    """Feature stores that are complete.

    Attributes:
        path: Their folder.
        stores: One of random crops, others of whole utterances and short pieces, each once.
        left_out: What is not used of the corpora.
    """

    path: Path
    stores: tuple[FeatureStore, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def n_rows(self) -> int:
        """Number of vectors in all stores."""
        return sum(store.n_rows for store in self.stores)


def store_features(
    config: Config, *, cache_dir: Path | None, mirror: str | None = None, on_stage: OnStage | None = None
) -> StoredFeatures:
    """Store every vector that training with this configuration needs; what is stored already is not computed again.

    Args:
        config: Of a run that trains the head alone; the stores are written to ``features.folder``.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        on_stage: Called with (what is stored, rows done, all rows).

    Raises:
        UsageError: If the configuration trains more than the head, or a head on stored vectors.
        DataError: If the corpus is at fault, or training, validation and test share speakers.
        CheckpointError: If the model is not whole.
        DownloadError: If a published model cannot be fetched.
        MrlspkError: If a store cannot be written.
    """
    _check_stores_vectors(config)
    fabric = build_fabric(config.hardware.model_copy(update={"devices": 1, "nodes": 1}))
    ranks = start_processes(fabric)
    start = find_start(config, cache_dir=cache_dir, mirror=mirror)
    config = choose_batch(configure_start(config, start), cache_dir=cache_dir, mirror=mirror, ranks=ranks)
    run_dir, _ = find_run(config.logging, "never", is_planned=True)
    data = read_data(config)
    config = choose_sizes(choose_widths(config, data, start), data, n_processes=1, max_batches=None)
    plan = RunPlan(config, data, run_dir, cache_dir=cache_dir, mirror=mirror, start=start)
    state = prepare(plan, fabric, ranks)
    trials = build_validation_trials(config, data)
    stores = AudioStores(config, without_adapters(state.module.encoder), on_stage, ranks)
    store_vectors(state, stores, trials)
    parts = [data]
    if config.training.refit:
        parts.append(only_held_out(data, config.data, seed=config.seed))
        for part in parts:
            stores.whole(part.corpus, with_choice=False)
        stores.crops(parts[1])
    taught = []
    if teacher := load_teacher(plan):
        taught = [AudioStores(config, teacher.to(ranks.device), on_stage, ranks).crops(part) for part in parts]
    found = {store.folder: store for store in (*stores.opened, *taught)}
    return StoredFeatures(config.features.folder, tuple(found.values()), data.left_out)


def _check_stores_vectors(config: Config) -> None:
    if config.data.vectors:
        raise UsageError("the vectors of data.vectors are stored already", fix="Leave it out, and name a corpus.")
    if not config.trains_head_alone:
        what = "the configuration trains the backbone, so that its output cannot be stored"
        fix = "Set training.freeze_backbone_epochs=null, without training.lora."
        raise UsageError(what, fix=fix)
