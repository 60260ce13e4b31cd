"""Add low-rank adapters (LoRA) to a frozen backbone with peft, train them, merge them."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from mrlspk.config.training import LoraConfig
from mrlspk.errors import ConfigError, MissingDependencyError
from mrlspk.models.checkpoints import schema
from mrlspk.models.encoder import Encoder
from mrlspk.models.headed_model import HeadedModel
from mrlspk.models.parts import train_head
from mrlspk.models.redimnet.blocks import FeedForward, SelfAttention

NAME = "default"  # peft's name for an unnamed adapter
BASE_LAYER = "base_layer"  # peft's name for the layer below an adapter


def build_adapters(config: LoraConfig, encoder: Encoder) -> None:
    """Add adapters to the backbone, in place; untrained, they change nothing (Hu et al. 2021, arXiv:2106.09685).

    Args:
        config: Section ``training.lora``.
        encoder: Without adapters; the weights of adapted layers get new names.

    Raises:
        ConfigError: If the backbone has no layer for an adapter.
        MissingDependencyError: If peft is not installed.
    """
    names = target_names(encoder, attention="attention" in config.targets, pointwise="pointwise" in config.targets)
    if not names:
        raise ConfigError(
            f"the backbone has no layer of kind {' or '.join(config.targets)} for an adapter",
            "training.lora.targets",
            "Name both kinds, or train without training.lora.",
        )
    inject(encoder, names, rank=config.rank, alpha=config.alpha, dropout=config.dropout)


def target_names(encoder: Encoder, *, attention: bool, pointwise: bool) -> list[str]:
    """Return the names of the layers to adapt.

    Args:
        encoder: Only its backbone is adapted.
        attention: Adapt the projections of each self-attention, and the feed-forward layers behind it.
        pointwise: Adapt convolutions of size 1 without groups.
    """
    found = list[str]()
    for name, module in encoder.named_modules():
        if not name.startswith("backbone."):
            continue
        if attention and isinstance(module, SelfAttention | FeedForward):
            found += [f"{name}.{child}" for child, layer in module.named_children() if isinstance(layer, nn.Linear)]
        if pointwise and isinstance(module, nn.Conv1d | nn.Conv2d) and _is_pointwise(module):
            found.append(name)
    return found


def _is_pointwise(layer: nn.Conv1d | nn.Conv2d) -> bool:
    return layer.groups == 1 and set(layer.kernel_size) == {1} and set(layer.stride) == {1}


def inject(encoder: Encoder, names: Sequence[str], *, rank: int, alpha: int, dropout: float = 0.0) -> None:
    """Add an adapter to each layer of ``names``, in place; freeze all but adapters and head.

    Raises:
        MissingDependencyError: If peft is not installed.
    """
    peft = library()
    options = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(names))
    peft.inject_adapter_in_model(options, encoder, NAME)
    del encoder.peft_config
    train_head(encoder)


def library() -> ModuleType:
    """Return peft.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        import peft
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "adapters need peft", "training.lora", "Type: pip install 'mrlspk[lora]'"
        ) from error
    module: ModuleType = peft
    return module


def adapted_layers(encoder: Encoder) -> Iterator[tuple[str, Any]]:
    """Yield the name of each layer with an adapter, and the layer as peft wraps it."""
    for name, module in encoder.named_modules():
        if isinstance(getattr(module, "lora_A", None), nn.ModuleDict):
            yield name, module


def has_adapters(encoder: Encoder) -> bool:
    """Return whether any layer of an encoder has an adapter."""
    return any(True for _ in adapted_layers(encoder))


def train_adapters(encoder: Encoder) -> None:
    """Put adapters in training mode with gradients, after the backbone was frozen."""
    for _, layer in adapted_layers(encoder):
        for part in (layer.lora_A, layer.lora_B, layer.lora_dropout):
            part.train()
            part.requires_grad_()


def merged(encoder: Encoder) -> Encoder:
    """Return a plain encoder with the adapters merged into its weights; ``encoder`` itself if it has none."""
    return _plain(encoder, merge=True) if has_adapters(encoder) else encoder


def without_adapters(encoder: HeadedModel) -> HeadedModel:
    """Return a plain encoder with the weights below the adapters; ``encoder`` itself if it has none."""
    return _plain(encoder, merge=False) if isinstance(encoder, Encoder) and has_adapters(encoder) else encoder


def _plain(encoder: Encoder, *, merge: bool) -> Encoder:
    plain = copy.deepcopy(encoder)
    for name, layer in list(adapted_layers(plain)):
        if merge:
            layer.merge()
        plain.set_submodule(name, layer.get_base_layer())
    return plain


def adapter_entries(encoder: Encoder) -> dict[str, Any]:
    """Return the entries to resume from that the merged encoder lacks: adapters, and the weights below them."""
    state = {name: values for name, values in encoder.state_dict().items() if _is_adapted(name)}
    return {schema.ADAPTERS: state} if state else {}


def load_with_adapters(encoder: Encoder, contents: Mapping[str, Any]) -> None:
    """Load the weights of a run's checkpoint into an encoder, with its adapters if it has any, bit for bit.

    Raises:
        KeyError: If the encoder has adapters and the checkpoint has none.
        RuntimeError: If an entry is missing, unknown or of another shape.
    """
    state: dict[str, Tensor] = contents[schema.MODEL]
    if has_adapters(encoder):
        own = encoder.state_dict()
        state = {name: values for name, values in state.items() if name in own} | contents[schema.ADAPTERS]
    encoder.load_state_dict(state)


def _is_adapted(name: str) -> bool:
    """Return whether an entry belongs to an adapter, or to the layer below one."""
    return ".lora_" in name or f".{BASE_LAYER}." in name
