"""Identify a model by its architecture and weights, whatever file holds them."""

import hashlib

import torch
from torch import Tensor, nn

from mrlspk.models.sync_batchnorm import STANDS_FOR

IGNORED_SETTINGS = frozenset({"training", "dims", "dropout", "momentum"})  # an embedding does not depend on these
IGNORED_MODULES = (nn.Dropout, nn.Identity)
# Attributes of torch's modules that embeddings depend on. Their other attributes are left out, since another version of
# torch may add some.
TORCH_SETTINGS = frozenset(
    {
        *("kernel_size", "stride", "padding", "padding_mode", "dilation", "groups"),  # convolutions
        *("eps", "num_groups", "normalized_shape"),  # normalisations
        "approximate",  # GELU
        *("size", "scale_factor", "mode", "align_corners"),  # upsampling
    }
)


def model_fingerprint(encoder: nn.Module, *, without: str | None = None) -> str:
    """Return a SHA-256 in hexadecimal over the architecture and every entry of the state dict.

    Models with equal fingerprints give equal embeddings. The file, the device, the trained widths and the training do
    not enter. Neither does the part called ``without``: models that differ only in their ``head`` pool alike.
    """
    digest = hashlib.sha256()
    for name, module in encoder.named_modules():
        if not isinstance(module, IGNORED_MODULES) and not _is_of(name, without):
            digest.update(repr((name, _kind(module).__qualname__, _settings(module))).encode())
    for name, values in encoder.state_dict().items():
        if not _is_of(name, without):
            digest.update(repr((name, str(values.dtype), tuple(values.shape))).encode())
            digest.update(_bytes(values))
    return digest.hexdigest()


def _is_of(name: str, part: str | None) -> bool:
    """Return whether a module or an entry is ``part``, or is inside it."""
    return part is not None and (name == part or name.startswith(f"{part}."))


def _kind(module: nn.Module) -> type[nn.Module]:
    """Return the class of a module; for a synchronised BatchNorm, that of the plain one."""
    return STANDS_FOR.get(type(module), type(module))


def _settings(module: nn.Module) -> list[tuple[str, object]]:
    """Return the plain values that a module was built with, such as strides, groups and the padding mode."""
    public = {name: value for name, value in vars(module).items() if not name.startswith("_") and _is_plain(value)}
    if _kind(module).__module__.startswith("torch.nn."):
        return sorted((name, value) for name, value in public.items() if name in TORCH_SETTINGS)
    return sorted((name, value) for name, value in public.items() if name not in IGNORED_SETTINGS)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _bytes(values: Tensor) -> memoryview:
    flat = values.detach().cpu().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy())
