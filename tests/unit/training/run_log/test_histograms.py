import numpy as np
import pytest
import torch
from torch import nn

from mrlspk.training.run_log.wandb_log import histogram, module_histograms


@pytest.mark.parametrize("values", [torch.arange(10.0).reshape(2, 5), torch.randn(1000, generator=torch.Generator())])
def test_histogram_counts_as_numpy_does(values):
    found = histogram(values, bins=5)
    counts, edges = np.histogram(values.numpy(), bins=5)
    assert found.counts == counts.tolist()
    assert found.edges == pytest.approx(edges.tolist(), abs=1e-6)


def test_equal_values_lie_in_one_bin():
    found = histogram(torch.full((3,), 2.0), bins=4)
    assert (found.counts, found.edges) == ([0, 0, 3, 0], [1.5, 1.75, 2.0, 2.25, 2.5])


def test_values_that_are_no_finite_number_are_not_counted():
    assert sum(histogram(torch.tensor([1.0, torch.nan, torch.inf, 2.0])).counts) == 2
    assert histogram(torch.tensor([torch.nan])) is None
    assert histogram(torch.empty(0)) is None


def test_module_has_histograms_of_weights_and_of_gradients_that_are_there():
    module = nn.Linear(3, 2)
    module.bias.requires_grad_(False)
    assert [name for name, _ in module_histograms(module)] == ["parameters/weight", "parameters/bias"]
    module(torch.ones(1, 3)).sum().backward()
    found = dict(module_histograms(module))
    assert list(found) == ["parameters/weight", "gradients/weight", "parameters/bias"]
    assert sum(found["gradients/weight"].counts) == 6  # all of them 1
