"""Pool frames over time, by the names of published configurations."""

import torch
from torch import Tensor, nn

HEADS = {"MHASTP": 2, "MQMHASTP": 8}
_EPS = 1e-7


class AttentiveStatistics(nn.Module):
    """Mean and deviation under attention per channel (ECAPA-TDNN; Desplanques et al. 2020, arXiv:2005.07143).

    Args:
        channels: Of the input.
        global_context: Let the attention see the mean and deviation of the whole input beside each frame.
        bottleneck: Hidden size of the attention.
    """

    def __init__(self, channels: int, *, global_context: bool = False, bottleneck: int = 128) -> None:
        super().__init__()
        self.global_context, self.out_features = global_context, 2 * channels
        self.linear1 = nn.Conv1d(channels * (3 if global_context else 1), bottleneck, 1)
        self.linear2 = nn.Conv1d(bottleneck, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) to (batch, 2 x channels)."""
        seen = x
        if self.global_context:
            mean, spread = x.mean(-1, keepdim=True), deviation(x).unsqueeze(-1)
            seen = torch.cat((x, mean.expand_as(x), spread.expand_as(x)), 1)
        attention = torch.softmax(self.linear2(torch.tanh(self.linear1(seen))), -1)
        return weighted_statistics(x, attention)


class MultiHeadAttentiveStatistics(nn.Module):
    """Statistics under one attention per group of channels (India et al. 2019, arXiv:1906.09890)."""

    def __init__(self, channels: int, *, n_heads: int = 2, per_channel: bool = False, bottleneck: int = 64) -> None:
        super().__init__()
        self.n_heads, self.out_features = n_heads, 2 * channels
        size = channels // n_heads
        self.heads_att_trans = nn.ModuleList()
        for _ in range(n_heads):
            head = nn.Sequential()
            head.add_module("att_0", nn.Conv1d(size, bottleneck, 1))
            head.add_module("tanh0", nn.Tanh())
            head.add_module("att_1", nn.Conv1d(bottleneck, size if per_channel else 1, 1))
            self.heads_att_trans.append(head)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) to (batch, 2 x channels)."""
        groups = x.chunk(self.n_heads, 1)
        heads = zip(groups, self.heads_att_trans, strict=True)
        return torch.cat([weighted_statistics(part, torch.softmax(head(part), -1)) for part, head in heads], 1)


class MultiQueryAttentiveStatistics(nn.Module):
    """Several multi-head attentive statistics side by side (Zhao et al. 2021, arXiv:2110.05042)."""

    def __init__(self, channels: int, *, n_queries: int = 2, n_heads: int = 8) -> None:
        super().__init__()
        self.out_features = 2 * channels * n_queries
        self.n_query = nn.ModuleList(
            MultiHeadAttentiveStatistics(channels, n_heads=n_heads, per_channel=True) for _ in range(n_queries)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) to (batch, 2 x queries x channels)."""
        return torch.cat([query(x) for query in self.n_query], 1)


class Statistics(nn.Module):
    """Pooling without parameters: ``TAP`` mean, ``TSDP`` deviation, ``TSTP`` both, ``TMAP`` maximum plus mean."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.kind, self.out_features = kind, channels * (2 if kind == "TSTP" else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, frames) to (batch, out_features)."""
        if self.kind == "TSDP":
            return deviation(x)
        mean = x.mean(-1)
        if self.kind == "TSTP":
            return torch.cat((mean, deviation(x)), 1)
        return mean + x.amax(-1) if self.kind == "TMAP" else mean


def deviation(x: Tensor) -> Tensor:
    """Map (batch, channels, frames) to the deviation over time (batch, channels)."""
    return (x.var(-1) + _EPS).sqrt()


def weighted_statistics(x: Tensor, weights: Tensor) -> Tensor:
    """Return mean and deviation of ``x`` over time under ``weights`` that sum to one."""
    mean = (weights * x).sum(-1)
    variance = (weights * x.square()).sum(-1) - mean.square()
    return torch.cat((mean, variance.clamp(min=_EPS).sqrt()), 1)


type Pooling = AttentiveStatistics | MultiHeadAttentiveStatistics | MultiQueryAttentiveStatistics | Statistics


def pooling_by_name(name: str, channels: int, *, global_context: bool) -> Pooling:
    """Return the pooling with a published name; only ASTP has a global context.

    Raises:
        ValueError: If no pooling has that name, or its heads do not divide the channels.
    """
    if channels % HEADS.get(name, 1):
        raise ValueError(f"{channels} channels do not split into the {HEADS[name]} heads of {name}")
    if name == "ASTP":
        return AttentiveStatistics(channels, global_context=global_context)
    if name == "MHASTP":
        return MultiHeadAttentiveStatistics(channels, n_heads=HEADS[name])
    if name == "MQMHASTP":
        return MultiQueryAttentiveStatistics(channels, n_heads=HEADS[name])
    if name in {"TAP", "TSDP", "TSTP", "TMAP"}:
        return Statistics(channels, name)
    raise ValueError(f"unknown pooling {name!r}")
