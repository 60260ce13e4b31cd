"""Which model it is, whatever file it came from."""

import hashlib

import torch
from torch import Tensor, nn

from mrlspk.models.sync_batchnorm import STANDS_FOR

IGNORED_SETTINGS = frozenset({"training", "dims", "dropout", "momentum"})  # an embedding does not depend on these
IGNORED_MODULES = (nn.Dropout, nn.Identity)
# All that torch's modules in our models are built with and embeddings depend on. Other attributes of theirs are not
# looked at, since another version of torch may have others.
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

    Models with one fingerprint embed alike: the file, the device, the widths trained for and how they were trained do
    not enter. Neither does the part called ``without``: models that differ in their ``head`` alone pool alike.
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
    """Return whether a module or an entry is ``part``, or lies in it."""
    return part is not None and (name == part or name.startswith(f"{part}."))


def _kind(module: nn.Module) -> type[nn.Module]:
    """Return the class of a module, or the one that it stands for in training."""
    return STANDS_FOR.get(type(module), type(module))


def _settings(module: nn.Module) -> list[tuple[str, object]]:
    """Return what the module was built with, as far as it is plain values: strides, groups, the kind of padding."""
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
