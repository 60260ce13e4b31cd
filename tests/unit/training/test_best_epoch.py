"""Selection of the best epoch, with and without a limit on the EER at full width."""

import pytest

from factories import validated
from mrlspk.config import load_config
from mrlspk.training.best_epoch import is_out_of_patience, note_best
from mrlspk.training.records import Progress


def best_of(epochs, *, limit, best_by="mean_log_eer"):
    """Return the best epoch after each of (EER at the full width, mean log EER)."""
    config = load_config(None, ["model.matryoshka_dims=[4,8]", f"evaluation.best_by={best_by}"])
    progress, best = Progress(), []
    for number, (full, mean) in enumerate(epochs, start=1):
        validation = validated(1.0, {4: 0.3, 8: full}, {}, mean)
        progress = Progress(**vars(progress) | {"epoch": number})
        progress, is_best = note_best(config, progress, validation, full_width_limit=limit)
        assert is_best == (progress.best_epoch == number)
        best.append(progress.best_epoch)
    return best, progress


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ([(0.1, -2.0), (0.1, -3.0), (0.1, -2.5)], [1, 2, 2]),
        ([(0.1, -2.0), (0.11, -3.0), (0.1, -2.5)], [1, 1, 3]),  # the second is over the limit
        ([(0.2, -3.0), (0.2, -4.0), (0.1, -1.0)], [1, 2, 3]),  # any within is before all that are not
        ([(0.2, -3.0), (0.3, -2.0)], [1, 1]),
        ([(0.1, -2.0), (0.1, -2.0)], [1, 1]),  # of equals the first
    ],
)
def test_epochs_within_the_limit_come_first(epochs, expected):
    assert best_of(epochs, limit=0.1)[0] == expected


def test_metric_alone_selects_without_limit():
    assert best_of([(0.1, -2.0), (0.9, -3.0)], limit=None)[0] == [1, 2]


def test_progress_records_whether_best_is_within_limit():
    assert not best_of([(0.2, -3.0)], limit=0.1)[1].best_within_limit
    assert best_of([(0.2, -3.0), (0.1, -1.0)], limit=0.1)[1].best_within_limit


def test_limit_applies_when_a_single_width_selects():
    best, progress = best_of([(0.3, 0.0), (0.2, 0.0)], limit=0.25, best_by="8")
    assert (best, progress.best_value) == ([1, 2], 0.2)


@pytest.mark.parametrize(
    ("patience", "epoch", "best_epoch", "n_crops", "expected"),
    [(2, 3, 1, 0, True), (2, 2, 1, 0, False), (2, 5, 1, 8, False), (1, 4, 4, 0, False), (None, 9, 1, 0, False)],
)
def test_patience_ends_only_at_epoch_ends(patience, epoch, best_epoch, n_crops, expected):
    progress = Progress(epoch=epoch, best_epoch=best_epoch, n_crops=n_crops)
    assert is_out_of_patience(progress, patience) is expected
