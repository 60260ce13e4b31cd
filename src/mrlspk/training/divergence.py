"""Tell a diverged training from bad recordings: diverged weights fail on white noise too."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from mrlspk.distributed import shown_by_rank_zero
from mrlspk.errors import MrlspkError
from mrlspk.models.external_encoder import ExternalEncoder
from mrlspk.models.headed_model import HeadedModel
from mrlspk.training.run import Run
from mrlspk.training.step import Batch

NOISE_SAMPLES = 16_000


def check_weights(run: Run, group: Sequence[Batch]) -> None:
    """Take a step on white noise in place of the crops of ``group``, whose step was not finite.

    If that step is finite, the crops are at fault. It changes the weights, so the run must end.

    Raises:
        MrlspkError: If the step is not finite either.
    """
    noise = [(torch.randn_like(inputs), *others) for inputs, *others in group]
    if not run.stepper.step(noise).is_done:
        raise _diverged(run, "loss or gradient is not finite, for white noise either")


def check_encoder(run: Run, encoder: HeadedModel) -> None:
    """Check, before recordings are embedded, that the embedding of white noise is finite and not zero.

    A head on another model gets noise in place of the embeddings of that model, which does not change.

    Raises:
        MrlspkError: If it is not.
    """
    of_vectors = isinstance(encoder, ExternalEncoder)
    shape = 1, encoder.pooled_dim if of_vectors else NOISE_SAMPLES
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))  # the run's stays as it is
    noise = (functional.normalize(noise, dim=1) if of_vectors else noise).to(encoder.device)
    with torch.inference_mode():
        embedding = encoder.eval().project(noise) if of_vectors else encoder.eval()(noise)
    if not (embedding.isfinite().all() and embedding.any()):
        raise _diverged(run, "the embedding of white noise is zero or not finite")


def _diverged(run: Run, what: str) -> Exception:
    progress, config = run.state.progress, run.config
    error = MrlspkError(
        f"training has diverged by step {progress.step}, in epoch {progress.epoch + 1}: {what}",
        "training.learning_rate",
        "The recordings are not at fault. Begin a new run with a learning rate below "
        f"{config.training.learning_rate:g}; for classifier weights it is multiplied by loss.class_lr_multiplier, "
        f"{config.loss.class_lr_multiplier:g}.",
    )
    return shown_by_rank_zero(run.ranks, error)
