"""Take samples that Python code holds, an array or tensor, as a decoded recording."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mrlspk.data.audio.levels import OUT_OF_RANGE, is_out_of_range, peak_of
from mrlspk.data.audio.resampling import check_rate, resample
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import DataError
from mrlspk.inference.decoding import Decoded, decoded_samples

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

PAIR = 2
type Samples = ArrayLike | Tensor

FIX = "Give a path, or floats (samples,) in [-1, 1] with their `sample_rate`."


def decode_samples(
    samples: Samples, name: str, *, rate: int, model_rate: int, speech: SpeechDetector | None
) -> Decoded:
    """Return samples as a decoded recording, with the warnings that a file of them would have.

    Args:
        samples: (samples,) in [-1, 1].
        name: Of the recording in messages.
        rate: Hz.
        model_rate: Hz to resample to.
        speech: Finds the speech; None if it is not searched.

    Raises:
        DataError: If they are not floating-point samples of one channel, or of no possible rate.
    """
    waveform = check_samples(samples, name)
    try:
        check_rate(rate)
    except DataError as error:
        raise DataError(error.what, name, "Give the rate of the samples as `sample_rate`.") from error
    warnings = [f"upsampled from {rate} Hz"] if rate < model_rate else []
    warnings += [OUT_OF_RANGE] if is_out_of_range(peak_of(waveform)) else []
    resampled = resample(waveform, rate, model_rate)
    decoded = decoded_samples(resampled, name, sample_rate=model_rate, speech=speech)
    return replace(decoded, warnings=tuple(warnings))


def check_samples(samples: Samples, where: str) -> NDArray[np.float32]:
    """Return (samples,) as a new array, whatever the layout, byte order, device or write protection of the given one.

    Raises:
        DataError: If they are not floating-point samples of one channel, or not finite.
    """
    values = as_array(samples, where)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.floating):
        what = f"expected floating-point samples (samples,), got {_describe(samples, values)}"
        raise DataError(what, where, _remedy(samples, values))
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and told below
        checked = values.astype(np.float32, order="C")
    if not np.isfinite(checked).all():
        raise DataError("holds samples that are not finite", where, "Check what computed them.")
    return checked


def as_array(samples: Samples, where: str) -> NDArray[np.generic]:
    """Return what NumPy makes of samples.

    Raises:
        DataError: If nothing.
    """
    if is_tensor(samples):
        samples = samples.detach().cpu()
        samples = samples.float() if str(samples.dtype) == "torch.bfloat16" else samples  # NumPy has no bfloat16
        values: NDArray[np.generic] = samples.numpy()
        return values
    try:
        return np.asarray(samples)
    except ValueError as error:  # rows of different lengths
        what = f"expected floating-point samples (samples,), got a {type(samples).__name__} that is no array"
        raise DataError(what, where, _remedy(samples)) from error


def is_tensor(value: object) -> "TypeIs[Tensor]":
    """Return whether a value is a tensor. Torch is not imported for it: without torch there are no tensors."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _describe(samples: Samples, values: NDArray[np.generic]) -> str:
    if values.dtype.kind not in "fciub":
        return f"{type(samples).__name__}, which holds no numbers"
    return f"{type(samples).__name__} of {values.dtype} and shape {values.shape}"


def _remedy(samples: Samples, values: NDArray[np.generic] | None = None) -> str:
    """Return what to give in place of samples that are none; ``values`` is what NumPy makes of them."""
    if isinstance(samples, tuple) and len(samples) == PAIR:  # as soundfile.read and torchaudio.load return
        return "Give samples and rate apart: `embed(samples, sample_rate=rate)`."
    if values is None or values.dtype.kind not in "fiu" or values.ndim == 0:
        several = "; several recordings go to `embed_many`" if isinstance(samples, list) else ""
        return f"{FIX[:-1]}{several}."
    if values.ndim > 1:
        axis = int(np.argmin(values.shape))
        one = "samples[0]" if axis == 0 else "samples[:, 0]"
        return f"Give one channel, such as {one} or samples.mean({axis}); several recordings go to `embed_many`."
    full_scale = 2 ** (8 * values.dtype.itemsize - 1)
    middle = f"(samples - {full_scale:_}.0)" if values.dtype.kind == "u" else "samples"
    return f"Divide by the full scale, for floats in [-1, 1]: {middle} / {full_scale:_}."
