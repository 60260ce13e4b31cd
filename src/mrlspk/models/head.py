"""The Matryoshka head, and how a prefix becomes an embedding."""

from torch import Tensor, nn
from torch.nn import functional


class MatryoshkaHead(nn.Module):
    """Project pooled statistics to an embedding whose prefixes are embeddings too (Kusupati 2022, arXiv:2205.13147).

    Args:
        in_features: Pooled values.
        embed_dim: Full width of the embedding.
        output_norm: Normalise the output over the batch, as some published models do.
    """

    def __init__(self, in_features: int, embed_dim: int, *, output_norm: bool = False) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(in_features)
        self.linear = nn.Linear(in_features, embed_dim)
        self.output_norm = nn.BatchNorm1d(embed_dim) if output_norm else nn.Identity()

    def forward(self, pooled: Tensor) -> Tensor:
        """Map (batch, in_features) to (batch, embed_dim), not yet of unit length."""
        embedding: Tensor = self.output_norm(self.linear(self.norm(pooled)))
        return embedding


def truncate(embedding: Tensor, dim: int) -> Tensor:
    """Return the first ``dim`` values of (…, embed_dim) at unit length: cut first, then normalised.

    Raises:
        ValueError: If the embedding is narrower than ``dim``.
    """
    if not 0 < dim <= embedding.shape[-1]:
        raise ValueError(f"a width of {dim} cannot be cut from {embedding.shape[-1]} values")
    return functional.normalize(embedding[..., :dim], dim=-1)
