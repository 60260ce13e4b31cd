"""Batches of stored vectors."""

import numpy as np
import pytest
import torch

from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler, SpeakerBalancedSampler
from mrlspk.models.head_transforms import AffineMap
from mrlspk.training.head.batches import StoredBatches, Teacher
from stored_rows import Rows

CPU = torch.device("cpu")
CLASSES = np.array([0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2])


def rows_of_numbers(n=12, factor=1.0):
    """Vectors that tell which row they are."""
    return Rows(factor * torch.arange(n, dtype=torch.float32)[:, None] + torch.tensor([0.0, 100.0]))


def batches_of(sampler, batch_size, *, rank=0, n_ranks=1, **options):
    order = RankBatches(sampler, batch_size=batch_size, rank=rank, n_ranks=n_ranks)
    return StoredBatches(rows_of_numbers(), CLASSES, order, device=CPU, **options)


@pytest.mark.parametrize(
    "build",
    [lambda: ShuffleSampler(12, seed=3), lambda: SpeakerBalancedSampler(CLASSES, utterances_per_speaker=2, seed=3)],
)
def test_batches_follow_the_sampler_with_their_classes(build):
    sampler = build()
    batches = batches_of(sampler, 4)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        wanted = [key.index for key in sampler]
        found = list(batches)
        assert len(found) == len(batches) == 3
        assert torch.cat([pooled[:, 0] for pooled, _ in found]).int().tolist() == wanted
        assert torch.cat([classes for _, classes in found]).tolist() == CLASSES[wanted].tolist()
        assert all(pooled.dtype == torch.float32 and pooled.shape == (4, 2) for pooled, _ in found)


def test_last_batch_that_is_not_whole_is_left_out():
    sampler = ShuffleSampler(12, seed=3)
    batches = batches_of(sampler, 5)
    assert [len(classes) for _, classes in batches] == [5, 5]
    assert len(batches) == 2


def test_processes_share_the_rows_of_an_epoch():
    sampler = ShuffleSampler(12, seed=3)
    shares = [list(batches_of(sampler, 3, rank=rank, n_ranks=2)) for rank in (0, 1)]
    for (first, _), (second, _), (both, _) in zip(*shares, batches_of(sampler, 6), strict=True):
        assert torch.equal(torch.cat((first, second)), both)


def test_epoch_may_be_longer_than_the_store():
    sampler = ShuffleSampler(12, seed=3, n_crops=20)
    found = list(batches_of(sampler, 4))
    assert len(found) == 5
    assert sorted(torch.cat([pooled[:, 0] for pooled, _ in found]).tolist()[:12]) == list(range(12))


def test_teacher_embeds_the_same_rows():
    affine = AffineMap(torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).double(), torch.tensor([0.0, 1, -1]).double())
    sampler = ShuffleSampler(12, seed=3)
    teacher = Teacher(rows_of_numbers(factor=10.0), affine)
    for pooled, _, taught in batches_of(sampler, 4, teacher=teacher):
        row = 10 * pooled[:, 0]  # the teacher's vector of row 3 is (30, 130)
        expected = torch.stack([2 * row, row + 101, 2 * row + 99], dim=1)
        assert torch.equal(taught, expected)
