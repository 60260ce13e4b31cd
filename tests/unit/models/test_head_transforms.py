import numpy as np
import pytest
import torch
from torch import nn

from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import (
    AffineMap,
    fold_head,
    head_of,
    rotate_head,
    standardise_head,
    unfold_head,
    widen_head,
)


@pytest.fixture
def make_head():
    """Make a head in evaluation mode whose normalisations have seen data and have weights."""

    def make(*, output_norm=False, in_features=6, embed_dim=3):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            head = MatryoshkaHead(in_features, embed_dim, output_norm=output_norm)
            for norm in filter(lambda module: isinstance(module, nn.BatchNorm1d), head.modules()):
                for values in (norm.weight, norm.bias, norm.running_mean):
                    nn.init.normal_(values, std=2)
                nn.init.uniform_(norm.running_var, 0.1, 5)
        return head.eval()

    return make


@pytest.fixture
def pooled():
    return torch.randn(200, 6, generator=torch.Generator().manual_seed(1)) * torch.linspace(0.5, 3, 6) + 1


@pytest.mark.parametrize("output_norm", [False, True])
def test_folded_head_computes_what_the_head_does(make_head, pooled, output_norm):
    head = make_head(output_norm=output_norm)
    folded = fold_head(head)
    assert (folded.weight.shape, folded.bias.shape, folded.weight.dtype) == ((3, 6), (3,), torch.float64)
    expected = head.double()(pooled.double())
    assert folded.apply(pooled).numpy() == pytest.approx(expected.detach().numpy(), abs=1e-12)


def test_folding_by_hand():
    head = MatryoshkaHead(1, 1).eval()
    head.norm.running_mean.fill_(2)
    head.norm.running_var.fill_(4 - head.norm.eps)
    head.norm.weight.data.fill_(6)
    head.norm.bias.data.fill_(1)
    head.linear.weight.data.fill_(5)
    head.linear.bias.data.fill_(7)
    folded = fold_head(head)  # 5 (6 (x - 2) / 2 + 1) + 7 = 15 x - 18
    assert (folded.weight.item(), folded.bias.item()) == (pytest.approx(15), pytest.approx(-18))


def test_head_of_a_map_computes_it(make_head, pooled):
    weight, bias = torch.randn(4, 6, generator=torch.Generator().manual_seed(2)), torch.arange(4.0)
    head = head_of(AffineMap(weight, bias))
    assert not head.training
    with torch.no_grad():
        assert torch.allclose(head(pooled), pooled @ weight.T + bias, atol=1e-5)
    folded = fold_head(head_of(fold_head(make_head())))
    assert torch.allclose(folded.weight, fold_head(make_head()).weight, rtol=1e-6)


def test_unfolded_head_is_the_one_that_was_folded(make_head, pooled):
    head = make_head()
    found = unfold_head(fold_head(head), make_head())
    torch.testing.assert_close(found.linear.weight, head.linear.weight)
    torch.testing.assert_close(found(pooled), head(pooled))


def test_input_that_a_normalisation_drops_is_dropped_again(make_head, pooled):
    head = make_head()
    with torch.no_grad():
        head.norm.weight[0] = 0
    found = unfold_head(fold_head(head), head)
    assert (found.linear.weight[:, 0] == 0).all()
    torch.testing.assert_close(found(pooled), head(pooled))


@pytest.mark.parametrize("output_norm", [False, True])
def test_rotated_head_rotates_embeddings_and_keeps_the_input_norm(make_head, pooled, output_norm):
    head = make_head(output_norm=output_norm)
    before = {name: values.clone() for name, values in head.state_dict().items()}
    turn = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=np.float64)
    rotated = rotate_head(head, turn)
    assert torch.allclose(rotated(pooled), head(pooled)[:, [1, 2, 0]], atol=1e-5)
    assert isinstance(rotated.output_norm, nn.Identity)
    assert (rotated.training, rotated.linear.weight.dtype) == (False, torch.float32)
    assert all(torch.equal(values, head.norm.state_dict()[name]) for name, values in rotated.norm.state_dict().items())
    assert all(torch.equal(values, before[name]) for name, values in head.state_dict().items())
    assert all(parameter.requires_grad for parameter in rotated.parameters())


def test_rotation_draws_no_random_numbers(make_head, pooled):
    head, state = make_head(), torch.get_rng_state()
    rotate_head(head, np.eye(3))
    widen_head(head, pooled, embed_dim=4)
    standardise_head(head, pooled)
    assert torch.equal(torch.get_rng_state(), state)


def test_matrix_of_another_width_is_refused(make_head):
    with pytest.raises(ValueError, match="expected a matrix 3 by 3"):
        rotate_head(make_head(), np.eye(4))


def test_widened_head_keeps_its_first_values_bit_for_bit(make_head, pooled):
    head = make_head()
    wide = widen_head(head, pooled, embed_dim=5)
    assert torch.equal(wide.linear.weight[:3], head.linear.weight)
    assert torch.equal(wide.linear.bias[:3], head.linear.bias)
    assert wide.linear.weight.shape == (5, 6)


def test_new_values_are_small_uncorrelated_and_orthogonal_to_the_head(make_head, pooled):
    head = make_head()
    wide = widen_head(head, pooled, embed_dim=6)
    extra = wide.linear.weight[3:].detach().double()
    assert (extra @ head.linear.weight.detach().double().T).abs().max() < 1e-5
    values = wide(pooled).detach().double()
    level = values.square().mean(0).sqrt()
    assert level[3:].tolist() == pytest.approx([float(level[:3].min())] * 3, rel=1e-4)
    assert values[:, 3:].mean(0).abs().max() < 1e-4
    assert np.corrcoef(values[:, 3:].T.numpy()) == pytest.approx(np.eye(3), abs=1e-4)


def test_first_new_value_has_most_variance_outside_the_head():
    head = MatryoshkaHead(3, 1).eval()
    head.linear.weight.data.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
    head.linear.bias.data.zero_()
    signs = torch.tensor([[a, b, c] for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)])
    wide = widen_head(head, signs * torch.tensor([9.0, 2.0, 4.0]), embed_dim=2)
    assert wide.linear.weight[1].tolist() == pytest.approx([0, 0, 9 / 4], abs=1e-5)  # as loud as the first: 9


@pytest.mark.parametrize(
    ("embed_dim", "rows", "message"),
    [(3, 200, "more than 3"), (7, 200, "4 more values need"), (5, 2, "2 more values need")],
)
def test_impossible_widths_are_refused(make_head, pooled, embed_dim, rows, message):
    with pytest.raises(ValueError, match=message):
        widen_head(make_head(), pooled[:rows], embed_dim=embed_dim)


def test_head_with_output_norm_is_not_widened(make_head, pooled):
    with pytest.raises(ValueError, match="fold that first"):
        widen_head(make_head(output_norm=True), pooled, embed_dim=4)


def test_standardised_head_has_inputs_of_mean_0_and_variance_1(make_head, pooled):
    head = make_head()
    fresh = standardise_head(head, pooled)
    values = fresh.norm(pooled).detach()
    assert values.mean(0).tolist() == pytest.approx([0] * 6, abs=1e-5)
    assert values.var(0).tolist() == pytest.approx([1] * 6, abs=1e-4)
    assert torch.equal(fresh.linear.weight, head.linear.weight)
    assert not torch.equal(head.norm.running_mean, fresh.norm.running_mean)
