"""A linear head for a backbone that has none: trained at the full width, before it is turned."""

from itertools import batched, islice

import torch
from torch import Tensor

from mrlspk.losses.build import build_loss
from mrlspk.models.folding import standardise_head
from mrlspk.models.head import MatryoshkaHead
from mrlspk.training.features.store import FeatureStore
from mrlspk.training.fit import take_step, wrap
from mrlspk.training.head_module import HeadModule
from mrlspk.training.head_optimiser import build_head_optimiser
from mrlspk.training.head_start import embed_rows, set_means
from mrlspk.training.optimiser import build_learning_rate
from mrlspk.training.prepare import Prepared
from mrlspk.training.stored_batches import StoredBatches


def train_first_head(prepared: Prepared, crops: FeatureStore, pooled: Tensor) -> MatryoshkaHead:
    """Return a head trained with the run's loss, at its full width alone, for as many epochs as the run has.

    Args:
        prepared: Of the run; nothing of it is changed.
        crops: Stored vectors.
        pooled: (n, in_features) of whole utterances, by which the head's input is standardised.
    """
    config, data = prepared.config, prepared.data
    encoder, embed_dim = prepared.state.module.encoder, prepared.config.model.embed_dim
    fresh = MatryoshkaHead(encoder.head.linear.in_features, embed_dim)
    head = standardise_head(fresh, pooled)
    loss = config.loss.model_copy(update={"n_dims_per_step": None})
    criterion = build_loss(loss, dims=(embed_dim,), weights=(1.0,), n_speakers=data.train.n_classes)
    module = HeadModule(encoder.with_head(head, (embed_dim,)), criterion, trained="linear")
    module.set_mode()
    wrapped, optimiser = wrap(prepared.fabric, module, build_head_optimiser(config, module))
    classes = data.train.classes
    set_means(criterion, embed_rows(module.encoder, crops, len(classes)), torch.from_numpy(classes))
    batches = StoredBatches(
        crops,
        data.train.classes_of(config.features.crops_per_utterance),
        prepared.sampler,
        batch_size=config.training.batch,
        device=prepared.fabric.device,
    )
    rate, step = build_learning_rate(config, steps_per_epoch=prepared.steps_per_epoch), 0
    for epoch in range(config.training.num_epochs):
        prepared.sampler.set_epoch(epoch)
        for group in batched(islice(batches, prepared.max_batches), config.training.accumulation_steps):
            rate.apply(optimiser, step)
            take_step(prepared.fabric, wrapped, optimiser, group, max_grad_norm=config.training.max_grad_norm)
            step += 1
    return module.encoder.head.cpu()
