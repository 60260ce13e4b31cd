"""One loss at several prefix widths."""

import pytest
import torch

from mrlspk.losses import AAMSoftmax, MatryoshkaLoss, TripletLoss


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 8, generator=generator), torch.arange(6) % 3


def aam():
    torch.manual_seed(0)
    return AAMSoftmax(3, 8, margin=0.2, scale=30.0)


@pytest.mark.parametrize("loss", [aam(), TripletLoss(0.3, "all")], ids=["aam", "triplet"])
def test_total_is_weighted_mean_over_widths(loss, batch):
    embedding, speaker = batch
    value = MatryoshkaLoss(loss, (2, 4, 8), (1.0, 0.5, 3.0))(embedding, speaker)
    single = {dim: loss(embedding[:, :dim], speaker).item() for dim in (2, 4, 8)}
    assert {dim: part.item() for dim, part in value.by_dim.items()} == pytest.approx(single)
    expected = (1.0 * single[2] + 0.5 * single[4] + 3.0 * single[8]) / 4.5
    assert value.total.item() == pytest.approx(expected, rel=1e-6)


def test_weights_stay_beside_their_widths_in_any_order(batch):
    rising = MatryoshkaLoss(aam(), (2, 8), (1.0, 5.0))(*batch)
    falling = MatryoshkaLoss(aam(), (8, 2), (5.0, 1.0))(*batch)
    assert falling.total.item() == pytest.approx(rising.total.item(), rel=1e-6)


def test_only_the_total_is_propagated(batch):
    value = MatryoshkaLoss(aam(), (2, 8), (1.0, 1.0))(*batch)
    assert value.total.requires_grad
    assert not any(part.requires_grad for part in value.by_dim.values())


def test_width_of_zero_weight_is_reported_but_not_trained(batch):
    criterion = MatryoshkaLoss(aam(), (2, 8), (1.0, 0.0))
    value = criterion(*batch)
    value.total.backward()
    assert set(value.by_dim) == {2, 8}
    assert criterion.loss.weight.grad[:, 2:].abs().sum() == 0


def test_class_weights_are_parameters_and_state():
    criterion = MatryoshkaLoss(aam(), (2, 8), (1.0, 1.0))
    assert [name for name, _ in criterion.named_parameters()] == ["loss.weight"]
    assert list(criterion.state_dict()) == ["loss.weight"]


def test_unpaired_weights_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        MatryoshkaLoss(aam(), (2, 8), (1.0,))


def test_n_dims_per_step_draws_only_weighted_widths(batch):
    criterion = MatryoshkaLoss(aam(), (1, 2, 4, 8), (1.0, 0.0, 2.0, 3.0), n_dims_per_step=2)
    values = [criterion(*batch) for _ in range(30)]
    drawn = {tuple(value.by_dim) for value in values}
    assert drawn == {(1, 4), (1, 8), (4, 8)}
    weights = {1: 1.0, 4: 2.0, 8: 3.0}
    for value in values:
        total = sum(weights[dim] * loss.item() for dim, loss in value.by_dim.items())
        assert value.total.item() == pytest.approx(total / sum(weights[dim] for dim in value.by_dim), rel=1e-6)


def test_width_choice_depends_on_seed_and_resumes_from_state(batch):
    first, second = (MatryoshkaLoss(aam(), (1, 2, 4, 8), (1.0,) * 4, n_dims_per_step=2, seed=5) for _ in range(2))
    state = torch.get_rng_state()
    drawn = [tuple(first(*batch).by_dim) for _ in range(20)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    assert [tuple(second(*batch).by_dim) for _ in range(10)] == drawn[:10]
    restored = MatryoshkaLoss(aam(), (1, 2, 4, 8), (1.0,) * 4, n_dims_per_step=2, seed=6)
    restored.load_draws_state(second.draws_state())
    assert [tuple(restored(*batch).by_dim) for _ in range(10)] == drawn[10:]


def test_evaluation_uses_every_width_and_draws_none(batch):
    criterion = MatryoshkaLoss(aam(), (2, 4, 8), (1.0, 1.0, 1.0), n_dims_per_step=1).eval()
    state = torch.get_rng_state()
    assert set(criterion(*batch).by_dim) == {2, 4, 8}
    assert torch.equal(torch.get_rng_state(), state)


def test_more_widths_per_step_than_exist_uses_all(batch):
    criterion = MatryoshkaLoss(aam(), (2, 8), (1.0, 1.0), n_dims_per_step=5)
    assert set(criterion(*batch).by_dim) == {2, 8}
