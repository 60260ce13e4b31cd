"""Freeze the parts of an encoder, count their parameters, and give their depth from the head."""

import re
from collections.abc import Iterator

from torch import nn

from mrlspk.models.encoder import Encoder
from mrlspk.models.headed_model import HeadedModel

BATCH_NORMS = nn.BatchNorm1d, nn.BatchNorm2d
STAGE = re.compile(r"stage(\d+)")  # modules of a stage, including the halves of a stage of ReDimNet2


def set_training_mode(encoder: Encoder, *, backbone_frozen: bool, keep_statistics: bool = False) -> None:
    """Put the trained parts in training mode and the frozen ones in evaluation mode, without gradients.

    A frozen BatchNorm keeps its weights and statistics bit for bit. With ``keep_statistics`` the others keep their
    statistics too, while their weights are trained.
    """
    encoder.train()
    for part in (encoder.spec, encoder.backbone, encoder.pool):
        part.train(not backbone_frozen)
        part.requires_grad_(not backbone_frozen)
    for constant in constants(encoder):
        constant.requires_grad = False
    if keep_statistics:
        for norm in (module for module in encoder.modules() if isinstance(module, BATCH_NORMS)):
            norm.eval()


def train_head(encoder: Encoder) -> None:
    """Give all parameters of the head gradients."""
    encoder.head.requires_grad_()


def constants(encoder: Encoder) -> Iterator[nn.Parameter]:
    """Yield the weights of sums over a single stream: published state dicts hold them, but nothing depends on them."""
    for name, parameter in encoder.backbone.named_parameters():
        if name.endswith(".w") and parameter.shape[1] == 1:
            yield parameter


def layer_depths(encoder: Encoder) -> dict[str, int]:
    """Return the distance of each part of an encoder from the head; `part_of` names the parts.

    The head is at 0, the pooling and the modules between the stages and it at 1, the last stage at 2; the stem and the
    front end are the deepest.
    """
    stages = [int(found[1]) for name, _ in encoder.backbone.named_children() if (found := STAGE.match(name))]
    deepest = 3 + max(stages, default=-1)
    depths = {"head": 0, "pool": 1, "spec": deepest}
    for name, _ in encoder.backbone.named_children():
        stage = STAGE.match(name)
        depth = deepest - 1 - int(stage[1]) if stage else deepest if name.startswith("stem") else 1
        depths[f"backbone.{name}"] = depth
    return depths


def part_of(name: str) -> str:
    """Return the part of an encoder, as `layer_depths` names it, that the parameter called ``name`` belongs to."""
    first, second, *_ = name.split(".")
    return f"{first}.{second}" if first == "backbone" else first


def parameters_by_part(encoder: HeadedModel) -> dict[str, int]:
    """Return the number of parameter values in front end, backbone, pooling and head; of a head alone, in the head."""
    parts: dict[str, nn.Module] = {"head": encoder.head}
    if isinstance(encoder, Encoder):
        parts = {"front end": encoder.spec, "backbone": encoder.backbone, "pooling": encoder.pool} | parts
    return {name: sum(parameter.numel() for parameter in part.parameters()) for name, part in parts.items()}
