"""Which epoch becomes the best: by the figure that is asked for, under a limit of the full width."""

from types import SimpleNamespace

import pytest

from mrlspk.config import load_config
from mrlspk.training.best import is_out_of_patience, note_best
from mrlspk.training.checkpoints.progress import Progress
from mrlspk.training.validation import ValidationResult


def best_of(epochs, *, limit, best_by="mean_log_eer"):
    """Return the best epoch after each of (EER at the full width, mean log EER)."""
    config = load_config(None, ["model.matryoshka_dims=[4,8]", f"evaluation.best_by={best_by}"])
    run, progress, best = SimpleNamespace(config=config, full_width_limit=limit), Progress(), []
    for number, (full, mean) in enumerate(epochs, start=1):
        validation = ValidationResult(loss=1.0, eer={4: 0.3, 8: full}, min_dcf={}, mean_log_eer=mean)
        progress, is_best = note_best(run, Progress(**vars(progress) | {"epoch": number}), validation)
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
def test_no_epoch_whose_full_width_is_worse_comes_before_one_within_the_limit(epochs, expected):
    assert best_of(epochs, limit=0.1)[0] == expected


def test_without_a_limit_the_figure_alone_counts():
    assert best_of([(0.1, -2.0), (0.9, -3.0)], limit=None)[0] == [1, 2]


def test_progress_says_whether_its_best_is_within_the_limit():
    assert not best_of([(0.2, -3.0)], limit=0.1)[1].best_within_limit
    assert best_of([(0.2, -3.0), (0.1, -1.0)], limit=0.1)[1].best_within_limit


def test_limit_holds_by_a_single_width_too():
    best, progress = best_of([(0.3, 0.0), (0.2, 0.0)], limit=0.25, best_by="8")
    assert (best, progress.best_value) == ([1, 2], 0.2)


@pytest.mark.parametrize(
    ("patience", "epoch", "best_epoch", "n_crops", "expected"),
    [(2, 3, 1, 0, True), (2, 2, 1, 0, False), (2, 5, 1, 8, False), (1, 4, 4, 0, False), (None, 9, 1, 0, False)],
)
def test_run_ends_after_as_many_epochs_without_a_better_one_as_are_waited_for(
    patience, epoch, best_epoch, n_crops, expected
):
    progress = Progress(epoch=epoch, best_epoch=best_epoch, n_crops=n_crops)
    assert is_out_of_patience(progress, patience) is expected
