"""Rewrite an encoder for inference in PyTorch: the same embeddings, up to rounding, with less work."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from mrlspk.inference.torch_layers import (
    InPlaceSum,
    LastAxisNorm,
    NormFreeBlock,
    PaddedAttention,
    convolution,
    has_onednn,
    split_convolution,
)
from mrlspk.models.encoder import Encoder
from mrlspk.models.export.folding import fold, replace_modules
from mrlspk.models.head_transforms import fold_head
from mrlspk.models.redimnet.blocks import ChannelNorm, ResBasicBlock, SelfAttention, WeightedSum


class InferenceNetwork(nn.Module):
    """An encoder in evaluation mode, on its device, without gradients.

    Args:
        encoder: Left as it is; gives the front end.
        dtype: Of the backbone; front end, pooling and head stay in float32.
        compiled: Call the backbone through torch.compile, for any length, which takes minutes on a CPU. The network is
            then only folded: torch.compile knows no call of oneDNN.
    """

    @torch.no_grad()
    def __init__(self, encoder: Encoder, dtype: torch.dtype = torch.float32, *, compiled: bool = False) -> None:
        super().__init__()
        self._features, self._skipped_frames = encoder.features, encoder.skipped_frames
        in_onednn = encoder.device.type == "cpu" and not compiled and has_onednn(dtype)
        rewrite = rewrite_for_cpu if in_onednn else fold_plainly
        backbone, pool = encoder.rewritten(rewrite)
        self.backbone, self.pool = backbone.to(encoder.device, dtype), pool.to(encoder.device)
        if compiled:
            self.backbone.compile(dynamic=True)
        head = fold_head(encoder.copy_head().cpu())
        self.head = nn.Linear(encoder.pooled_dim, encoder.embed_dim, device=encoder.device)
        self.head.weight.copy_(head.weight)
        self.head.bias.copy_(head.bias)
        self._dtype = dtype

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to (batch, embed_dim), not yet of unit length, in float32."""
        frames: Tensor = self.backbone(self._features(waveform).to(self._dtype))
        embedding: Tensor = self.head(self.pool(frames[..., self._skipped_frames :].float()))
        return embedding


def fold_plainly(network: nn.Module) -> nn.Module:
    """Return a copy of a network in evaluation mode with its BatchNorms folded, for any device."""
    return fold(deepcopy(network).cpu(), regroup=False)


@torch.no_grad()
def rewrite_for_cpu(network: nn.Module) -> nn.Module:
    """Return a copy of a network in evaluation mode that is fast in oneDNN."""
    rewritten = nn.Sequential(deepcopy(network))
    replace_modules(rewritten, ChannelNorm, LastAxisNorm)
    replace_modules(rewritten, WeightedSum, InPlaceSum)
    folded = nn.Sequential(fold(rewritten[0], regroup=False))
    replace_modules(folded, ResBasicBlock, NormFreeBlock)
    replace_modules(folded, SelfAttention, PaddedAttention)
    replace_modules(folded, nn.Conv2d, split_convolution)
    replace_modules(folded, nn.Conv1d, convolution)
    return folded[0]
