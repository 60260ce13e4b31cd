"""Begin the model card of a run: the model that it starts from, its corpus and its validation trials."""

from importlib.metadata import version as installed_version

from mrlspk.config.architecture import Architecture
from mrlspk.models.checkpoints.model_card import BaseCard, DataCard, ModelCard, TrialsCard
from mrlspk.models.encoder import Encoder
from mrlspk.training.plan import RunPlan


def begin_card(plan: RunPlan, encoder: Encoder, architecture: Architecture, *, base: BaseCard | None) -> ModelCard:
    """Return the model card of a run's checkpoints, without metrics."""
    corpus, held_out, trials = plan.data.train, plan.data.validation, plan.data.validation_trials
    return ModelCard(
        title=f"{plan.run_dir.name}: Matryoshka speaker embeddings",
        mrlspk_version=installed_version("mrlspk"),
        family=architecture.family,
        parameters=sum(parameter.numel() for parameter in encoder.parameters()),
        dims=encoder.dims,
        base=base,
        data=DataCard(
            folder=corpus.root.resolve().name,
            speakers=len(corpus.speakers),
            utterances=len(corpus) // len(corpus.speeds),
            fingerprint=corpus.fingerprint,
        ),
        trials=TrialsCard(
            description=f"{len(trials):,} trials generated among {len(held_out.speakers):,} speakers of "
            f"{held_out.root.resolve().name}, seed {plan.config.seed}",
            sha256=trials.sha256,
            n_target=trials.n_target,
            n_nontarget=trials.n_nontarget,
            p_target=plan.config.evaluation.p_target[0],
        ),
    )
