"""Transform a head: fold its normalisation, rotate, widen or standardise it."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mrlspk.models.head import MatryoshkaHead

NEGLIGIBLE = 1e-8  # a direction with a smaller share of the mean variance is rounding error


@dataclass(frozen=True, eq=False)
class AffineMap:
    """A linear map with an offset, in float64: ``weight`` (embed_dim, in_features) and ``bias`` (embed_dim,)."""

    weight: Tensor
    bias: Tensor

    def apply(self, pooled: Tensor) -> Tensor:
        """Map (n, in_features) to (n, embed_dim) in float64, not yet of unit length."""
        return pooled.to(self.weight) @ self.weight.T + self.bias


def fold_head(head: MatryoshkaHead) -> AffineMap:
    """Return a head in evaluation mode as one affine map of the pooled values; nothing is lost."""
    linear = _folded_linear(head)
    scale, offset = _scale_and_offset(head.norm)
    return AffineMap(linear.weight * scale, linear.weight @ offset + linear.bias)


@torch.no_grad()
def head_of(affine: AffineMap) -> MatryoshkaHead:
    """Return a head in evaluation mode that computes an affine map, the inverse of `fold_head`."""
    embed_dim, in_features = affine.weight.shape
    with torch.device("meta"):  # as in `_like`
        head = MatryoshkaHead(in_features, embed_dim)
    head.to_empty(device=affine.weight.device)
    head.norm.reset_parameters()
    return unfold_head(affine, head)


@torch.no_grad()
def unfold_head(affine: AffineMap, like: MatryoshkaHead) -> MatryoshkaHead:
    """Return a head in evaluation mode that computes an affine map, with the input normalisation of another head.

    Where that normalisation drops an input, so does the head.
    """
    head = _like(like, len(affine.weight))
    scale, offset = _scale_and_offset(head.norm)
    weight = torch.where(scale == 0, 0, affine.weight.cpu().double() / scale)
    head.linear.weight.copy_(weight)
    head.linear.bias.copy_(affine.bias.cpu().double() - weight @ offset)
    return head.eval()


@torch.no_grad()
def rotate_head(
    head: MatryoshkaHead, matrix: NDArray[np.float64], mean: NDArray[np.float64] | None = None
) -> MatryoshkaHead:
    """Return a head whose embeddings are ``matrix`` times those of ``head`` in evaluation mode, less their ``mean``.

    The normalisation of the input is kept; a normalisation of the output is folded into the linear map.

    Args:
        head: It is not changed.
        matrix: (embed_dim, embed_dim); an orthogonal one keeps the cosines at full width.
        mean: (embed_dim,) subtracted from an embedding before the product; None for zeros.

    Raises:
        ValueError: If the matrix does not have the width of the head.
    """
    embed_dim, in_features = head.linear.weight.shape
    if matrix.shape != (embed_dim, embed_dim):
        raise ValueError(f"expected a matrix {embed_dim} by {embed_dim}, got {matrix.shape}")
    linear = _folded_linear(head)
    rotation = torch.from_numpy(np.asarray(matrix, dtype=np.float64))
    rotated = _like(head, embed_dim)
    rotated.linear.weight.copy_(rotation @ linear.weight)
    bias = linear.bias if mean is None else linear.bias - torch.from_numpy(np.asarray(mean, dtype=np.float64))
    rotated.linear.bias.copy_(rotation @ bias)
    return rotated


@torch.no_grad()
def widen_head(head: MatryoshkaHead, pooled: Tensor, *, embed_dim: int) -> MatryoshkaHead:
    """Return a wider head whose first values are those of ``head``, bit for bit.

    Each new value is a principal direction of the normalised pooled vectors, orthogonal to the rows of the head, in
    order of falling variance. Its mean is zero and its root mean square is the smallest of the head's values, so that
    it has little effect before training and yet a gradient.

    Args:
        head: Without normalisation of its output; `rotate_head` folds that.
        pooled: (n, in_features), with n much larger than ``embed_dim``.
        embed_dim: Full width of the new head.

    Raises:
        ValueError: If the head normalises its output, is not narrower, or the pooled vectors have too few directions.
    """
    if not isinstance(head.output_norm, nn.Identity):
        raise ValueError("the head normalises its output; fold that first")
    narrow = head.linear.out_features
    if embed_dim <= narrow:
        raise ValueError(f"expected more than {narrow} values, got {embed_dim}")
    scale, offset = _scale_and_offset(head.norm)
    inputs = pooled.to(scale) * scale + offset
    linear = _folded_linear(head)
    weight, bias = linear.weight, linear.bias
    rows, deviation = _principal_outside(inputs, weight, embed_dim - narrow)
    outputs = (inputs @ weight.T + bias).square().mean(0).sqrt()
    rows *= (outputs[outputs > 0].min() / deviation)[:, None]
    wide = _like(head, embed_dim)
    wide.linear.weight.copy_(torch.cat([weight, rows]))
    wide.linear.bias.copy_(torch.cat([bias, -(rows @ inputs.mean(0))]))
    return wide


@torch.no_grad()
def standardise_head(head: MatryoshkaHead, pooled: Tensor) -> MatryoshkaHead:
    """Return ``head`` with statistics of its input's normalisation from pooled vectors (n, in_features), n > 1.

    The linear map is kept; its inputs then have mean 0 and variance 1. It is meant for a head that is not trained yet.
    """
    fresh, values = deepcopy(head), pooled.double()
    assert fresh.norm.running_mean is not None  # as every head is built
    assert fresh.norm.running_var is not None
    fresh.norm.weight.fill_(1)
    fresh.norm.bias.zero_()
    fresh.norm.running_mean.copy_(values.mean(0))
    fresh.norm.running_var.copy_(values.var(0))
    return fresh


def _folded_linear(head: MatryoshkaHead) -> AffineMap:
    """Return the linear map with the normalisation of the output folded into it, in float64 on the CPU."""
    weight, bias = head.linear.weight.detach().cpu().double(), head.linear.bias.detach().cpu().double()
    if isinstance(head.output_norm, nn.BatchNorm1d):
        scale, offset = _scale_and_offset(head.output_norm)
        return AffineMap(weight * scale[:, None], bias * scale + offset)
    return AffineMap(weight, bias)


def _scale_and_offset(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return the factors and offsets of a normalisation in evaluation mode, in float64 on the CPU."""
    assert norm.running_mean is not None  # as every head is built
    assert norm.running_var is not None
    mean, variance, weight, bias = (
        values.detach().cpu().double() for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    scale = weight / (variance + norm.eps).sqrt()
    return scale, bias - mean * scale


def _principal_outside(inputs: Tensor, weight: Tensor, n_rows: int) -> tuple[Tensor, Tensor]:
    """Return the ``n_rows`` directions of most variance orthogonal to the rows of ``weight``, and their deviations.

    Raises:
        ValueError: If ``inputs`` (n, in_features) have fewer such directions.
    """
    centred = inputs - inputs.mean(0)
    basis = torch.linalg.qr(weight.T)[0]
    outside = centred - centred @ basis @ basis.T
    values, vectors = torch.linalg.eigh(outside.T @ outside / len(outside))
    values, vectors = values.flip(0)[:n_rows], vectors.flip(1)[:, :n_rows]
    total = centred.square().sum(1).mean()
    if len(values) < n_rows or values[-1] <= NEGLIGIBLE * total / inputs.shape[1]:
        raise ValueError(f"{n_rows} more values need more than {len(inputs)} pooled vectors, or more varied ones")
    signs = vectors.gather(0, vectors.abs().argmax(0, keepdim=True)).sign()
    return (vectors * signs).T.contiguous(), values.sqrt()


def _like(head: MatryoshkaHead, embed_dim: int) -> MatryoshkaHead:
    """Return a head with the input normalisation, device and mode of ``head`` and an uninitialised linear map."""
    with torch.device("meta"):  # so that no random weights are drawn
        fresh = MatryoshkaHead(head.linear.in_features, embed_dim)
    fresh.to_empty(device=head.linear.weight.device)
    fresh.norm.load_state_dict(head.norm.state_dict())
    return fresh.train(head.training)
