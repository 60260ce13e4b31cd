"""Begin the model card of a run: the model that it starts from, its corpus and its validation trials."""

from importlib.metadata import version as installed_version

from mrlspk.config import Config
from mrlspk.data.build import TrainingData
from mrlspk.models.checkpoints.model_card import BaseCard, DataCard, ModelCard, TrialsCard
from mrlspk.training.start import StartingPoint


def begin_card(
    config: Config, data: TrainingData, start: StartingPoint, *, run_name: str, base: BaseCard | None
) -> ModelCard:
    """Return the card of a run's checkpoints, but for the figures of each."""
    corpus, held_out, trials = data.train, data.validation, data.validation_trials
    return ModelCard(
        title=f"{run_name}: Matryoshka speaker embeddings",
        mrlspk_version=installed_version("mrlspk"),
        family=start.architecture.family,
        parameters=sum(parameter.numel() for parameter in start.encoder.parameters()),
        dims=start.encoder.dims,
        base=base,
        data=DataCard(
            folder=corpus.root.resolve().name,
            speakers=len(corpus.speakers),
            utterances=len(corpus) // len(corpus.speeds),
            fingerprint=corpus.fingerprint,
        ),
        trials=TrialsCard(
            description=f"{len(trials):,} trials generated among {len(held_out.speakers):,} speakers of "
            f"{held_out.root.resolve().name}, seed {config.seed}",
            sha256=trials.sha256,
            n_target=trials.n_target,
            n_nontarget=trials.n_nontarget,
            p_target=config.evaluation.p_target[0],
        ),
    )
