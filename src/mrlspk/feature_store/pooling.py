"""Waveforms to pooled vectors, in the number type of a store."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.errors import DataError
from mrlspk.feature_store.key import Precision
from mrlspk.feature_store.layout import NumberType
from mrlspk.models.encoder import Encoder

AUTOCAST: dict[Precision, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def pooling_function(encoder: Encoder, *, precision: Precision) -> Callable[[Tensor], Tensor]:
    """Put an encoder in evaluation mode; return a function from (batch, samples) to (batch, pooled_dim).

    The vectors are float32 and on the CPU; the network runs where the encoder is, under autocast to ``precision``.
    """
    encoder.eval()
    device, half = encoder.device, AUTOCAST[precision]

    @torch.inference_mode()
    def pool(waveforms: Tensor) -> Tensor:
        with torch.autocast(device.type, half, enabled=half is not None):
            return encoder.pooled(waveforms.to(device, non_blocking=True)).cpu()

    return pool


def as_stored(vectors: Tensor, names: Sequence[str], *, dtype: NumberType) -> NDArray[np.floating]:
    """Return vectors (batch, features) in the number type of a store; ``names`` are the recordings they come from.

    Raises:
        DataError: If a vector is not finite, or is beyond the number type.
    """
    _refuse(~torch.isfinite(vectors).all(1), names, "its pooled vector is not finite", "Check the recording.")
    stored = vectors.to(getattr(torch, dtype))
    what = f"its pooled vector is beyond {dtype}: the largest value is {float(vectors.abs().max()):.6g}"
    _refuse(~torch.isfinite(stored).all(1), names, what, "Store the vectors as float32.")
    array: NDArray[np.floating] = stored.numpy()
    return array


def _refuse(at_fault: Tensor, names: Sequence[str], what: str, fix: str) -> None:
    if at_fault.any():
        raise DataError(what, names[int(at_fault.nonzero()[0])], fix)
