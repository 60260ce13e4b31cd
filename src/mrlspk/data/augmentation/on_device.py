"""Apply drawn effects to a batch of crops, on their device."""

import torch
from scipy import fft
from torch import Tensor

from mrlspk.data.augmentation.effects import Effects
from mrlspk.data.augmentation.rooms import LEAD, TAPS

CROPS_AT_ONCE = 128  # bounds the memory of the spectra: 200 MiB for crops of three seconds


def as_tensors(effects: Effects, n_samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return response (TAPS,), noise (n_samples,) and gain () of a crop; zeros where there is none."""
    response, noise = torch.zeros(TAPS), torch.zeros(n_samples)
    if effects.response is not None:
        begin = LEAD - effects.response.direct
        response[begin : begin + len(effects.response.taps)] = torch.from_numpy(effects.response.taps)
    if effects.noise is not None:
        noise = torch.from_numpy(effects.noise)
    return response, noise, torch.tensor(effects.gain, dtype=torch.float32)


def apply_to_batch(waveforms: Tensor, responses: Tensor, noises: Tensor, gains: Tensor) -> Tensor:
    """Return (batch, samples) with the effects of each crop, which `as_tensors` arranged; the batch stays as it is."""
    parts = [torch.split(each, CROPS_AT_ONCE) for each in (waveforms, responses, noises, gains)]
    return torch.cat([_apply(*part) for part in zip(*parts, strict=True)])


def _apply(waveforms: Tensor, responses: Tensor, noises: Tensor, gains: Tensor) -> Tensor:
    wet = _reverberate(waveforms, responses)
    noisy: Tensor = wet + _level(wet) * noises
    return noisy * gains[:, None]


def _reverberate(waveforms: Tensor, responses: Tensor) -> Tensor:
    """Convolve each crop that has a response: its length, alignment and energy are kept."""
    n_samples = waveforms.shape[1]
    n_fft = fft.next_fast_len(n_samples + TAPS - 1, real=True)
    product = torch.fft.rfft(waveforms, n_fft) * torch.fft.rfft(responses, n_fft)
    wet = torch.fft.irfft(product, n_fft)[:, LEAD : LEAD + n_samples]
    level = _level(wet)
    has_response = responses.any(dim=1, keepdim=True) & (level > 0)
    return torch.where(has_response, wet * (_level(waveforms) / level), waveforms)


def _level(waveforms: Tensor) -> Tensor:
    """Return the root mean square of each, (batch, 1)."""
    return waveforms.square().mean(dim=1, keepdim=True, dtype=torch.float64).sqrt().float()
