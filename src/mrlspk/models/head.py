"""Matryoshka head: pooled statistics to an embedding."""

from torch import Tensor, nn


class MatryoshkaHead(nn.Module):
    """Project pooled statistics to an embedding whose prefixes are embeddings too (Kusupati 2022, arXiv:2205.13147).

    Args:
        in_features: Number of pooled values.
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
