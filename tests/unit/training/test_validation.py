import numpy as np
import pytest
import torch

from mrlspk.training.validation import prototype_loss


def test_prototype_loss_matches_a_loop():
    rng = np.random.default_rng(0)
    vectors, labels, scale = rng.normal(size=(7, 5)), np.array([0, 0, 1, 1, 1, 2, 2]), 4.0
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for i, own in enumerate(labels):
        logits = []
        for speaker in range(3):
            others = [unit[j] for j in range(7) if labels[j] == speaker and j != i]
            mean = np.sum(others, axis=0)
            logits.append(scale * unit[i] @ mean / np.linalg.norm(mean))
        losses.append(np.log(np.exp(logits).sum()) - logits[own])
    found = prototype_loss(torch.from_numpy(vectors).float(), torch.from_numpy(labels), scale=scale)
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


def test_speaker_with_one_utterance_is_no_query_but_a_rival():
    pair = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = prototype_loss(pair, torch.tensor([0, 0, 1]), scale=1.0)
    assert found == pytest.approx(np.log(1 + np.exp(-1)))
