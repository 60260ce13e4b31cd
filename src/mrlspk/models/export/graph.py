"""The part of an encoder that is exported: the same embedding, in operations that every runtime has."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrlspk.models.encoder import Encoder
from mrlspk.models.export.features import ConvolutionLogMel
from mrlspk.models.export.folding import fold
from mrlspk.models.export.rows import in_rows
from mrlspk.models.graph_metadata import GraphInput


class ExportedEncoder(nn.Module):
    """An encoder without its training parts.

    Args:
        encoder: Left as it is.
        input: ``waveform``, or ``features`` to leave the front end out.
        for_pytorch: Leave out the changes of layout that only other runtimes profit from.
    """

    @torch.no_grad()
    def __init__(self, encoder: Encoder, *, input: GraphInput = "waveform", for_pytorch: bool = False) -> None:
        super().__init__()
        self.features = ConvolutionLogMel(encoder.spec) if input == "waveform" else nn.Identity()
        self.padding = encoder.padding if input == "waveform" else 0
        self.skipped_frames = encoder.skipped_frames
        backbone = fold(encoder.backbone, regroup=not for_pytorch)
        self.backbone = backbone if for_pytorch else in_rows(backbone)
        self.pool = fold(encoder.pool)
        head = encoder.folded_head()
        self.head = nn.Linear(encoder.pooled_dim, encoder.embed_dim).requires_grad_(requires_grad=False)
        self.head.weight.copy_(head.weight)
        self.head.bias.copy_(head.bias)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, samples), or features (batch, mels, frames), to (batch, embed_dim), not of unit length."""
        if self.padding:
            x = functional.pad(x, (0, self.padding))
        frames = self.backbone(self.features(x))
        if self.skipped_frames:
            frames = frames[..., self.skipped_frames :]
        embedding: Tensor = self.head(self.pool(frames))
        return embedding
