"""A linear head for a backbone that has none: trained at the full width, in one process, before it is turned."""

from itertools import batched, islice

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mrlspk.data.batches import RankBatches
from mrlspk.feature_store.store import FeatureStore
from mrlspk.losses.build import build_loss
from mrlspk.models.folding import standardise_head
from mrlspk.models.head import MatryoshkaHead
from mrlspk.training.head.batches import StoredBatches
from mrlspk.training.head.module import HeadModule
from mrlspk.training.head.optimiser import build_head_optimiser
from mrlspk.training.head.start import embed_rows, set_means
from mrlspk.training.optimiser import build_learning_rate
from mrlspk.training.prepared import Prepared
from mrlspk.training.start import PRECISIONS
from mrlspk.training.step import Stepper, wrap


def train_first_head(prepared: Prepared, crops: FeatureStore, pooled: Tensor) -> MatryoshkaHead:
    """Return a head trained with the run's loss, at its full width alone, for as many epochs as the run has.

    Its batches are those of all processes of the run together, so that it does not depend on their number.

    Args:
        prepared: Of the run; nothing of it is changed.
        crops: Stored vectors.
        pooled: (n, in_features) of whole utterances, by which the head's input is standardised.
    """
    config, data = prepared.config, prepared.data
    encoder, embed_dim = prepared.state.module.encoder, prepared.config.model.embed_dim
    fresh = MatryoshkaHead(encoder.pooled_dim, embed_dim)
    head = standardise_head(fresh, pooled)
    loss = config.loss.model_copy(update={"n_dims_per_step": None})
    criterion = build_loss(loss, dims=(embed_dim,), weights=(1.0,), n_speakers=data.train.n_classes)
    module = HeadModule(encoder.with_head(head, (embed_dim,)), criterion, trained="linear")
    module.set_mode()
    fabric = _alone(prepared)
    wrapped, optimiser = wrap(fabric, module, build_head_optimiser(config, module))
    classes = data.train.classes
    set_means(criterion, embed_rows(module.encoder, crops, len(classes)), torch.from_numpy(classes))
    order = RankBatches(prepared.batches.order, batch_size=prepared.batches.crops_of_all)
    rows = data.train.classes_of(config.features.crops_per_utterance)
    batches = StoredBatches(crops, rows, order, device=fabric.device)
    stepper = Stepper(fabric, wrapped, optimiser, config.training.max_grad_norm)
    rate, step = build_learning_rate(config, steps_per_epoch=prepared.steps_per_epoch), 0
    for epoch in range(config.training.num_epochs):
        order.go_to(epoch)
        for group in batched(islice(batches, prepared.max_batches), config.training.accumulation_steps):
            rate.apply(optimiser, step)
            stepper.step(group)
            step += 1
    return module.encoder.copy_head().cpu()


def _alone(prepared: Prepared) -> Fabric:
    """Return Fabric on the device of this process, without the others of the run."""
    device = prepared.fabric.device
    devices = [device.index or 0] if device.type == "cuda" else 1
    precision = PRECISIONS[prepared.config.hardware.precision]
    return Fabric(accelerator=device.type, devices=devices, precision=precision)
