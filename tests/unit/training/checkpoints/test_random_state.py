import random

import numpy as np
import torch

from mrlspk.training.checkpoints.random_state import random_state, seed_apart, set_random_state

CPU = torch.device("cpu")


def draw():
    """Return numbers of every generator; those with a second normal number kept back are asked for one alone."""
    return [
        random.random(),
        random.gauss(),
        np.random.rand(),
        np.random.randn(),
        torch.rand(3).tolist(),
        torch.randn(1),
    ]


def test_restored_generators_continue_their_sequences(tmp_path):
    draw()
    torch.save(random_state(CPU), tmp_path / "state.pt")
    expected = draw()
    draw()
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True), CPU)
    assert draw() == expected


def test_processes_are_seeded_differently_and_the_first_keeps_torch():
    state = random_state(CPU)
    expected = [torch.rand(3).tolist(), torch.randn(1)]
    drawn = []
    for rank in (0, 1, 2, 1, 0):
        set_random_state(state, CPU)
        random.random(), np.random.rand()  # whatever has been drawn before
        seed_apart(42, rank)
        drawn.append(draw())
    assert drawn[0][4:] == expected
    assert drawn[0] == drawn[4]
    assert drawn[1] == drawn[3]
    assert all(a != b for a, b in zip(drawn[1], drawn[2], strict=True))
    assert all(a != b for a, b in zip(drawn[0], drawn[1], strict=True))
