"""The end of a run, as a terminal shows it."""

from dataclasses import replace
from pathlib import Path

import pytest

from mrlspk.cli.tables import FittedTable
from mrlspk.cli.train_summary import train_summary
from mrlspk.cli.width_plot import width_plot
from mrlspk.models.checkpoints.model_card import RefitCard
from mrlspk.training.head.verdict import Comparison, DomainVerdict, DomainWidth, Verdict
from mrlspk.training.records import Baselines
from mrlspk.workflows.train import TrainReport

RUN = Path("check points/one")
BASELINES = Baselines(192, 0.01, {}, {}, "svd", -2.0)
REPORT = TrainReport(
    RUN, RUN / "best.pt", RUN / "last.pt", 5, 4, "mean_log_eer", {64: 0.02, 192: 0.01}, None, baselines=BASELINES
)


def width_of(dim, outcome, *, published=True):
    pair = Comparison("trained", "rotation", -0.0025, (-0.005, 0.001), None, outcome)
    return DomainWidth(dim, published, {"rotation": 0.0225, "trained": 0.02}, (pair,))


def verdict_of(*widths, kept):
    domain = DomainVerdict("", True, 16, 100, 100, widths)  # noqa: FBT003 - the field has no default
    return Verdict((), -2.0, -2.1, kept, "", n_speakers=16, domains=(domain,))


def lines_of(report):
    pieces = train_summary(report)
    return [
        line
        for piece in pieces
        for line in ([text for text, _ in piece.lines(80)] if isinstance(piece, FittedTable) else piece.split("\n"))
    ]


def test_verdict_table_has_one_verdict_column_of_published_widths():
    verdict = verdict_of(width_of(64, "EVEN"), width_of(96, "REGRESSION", published=False), kept="rotation")
    said = lines_of(replace(REPORT, verdict=verdict))
    assert said[:4] == [
        "On 16 held-out speakers the trained head is no better than the rotation at any width. best.pt holds the "
        "rotation: the model as it was, its values reordered so that the first ones count most.",
        "",
        "width  rotation  trained  trained − rotation           95 %  verdict",
        "64         2.25     2.00               -0.25  -0.50 … +0.10  same",
    ]
    assert "WIN" not in " ".join(said)
    assert "96" not in " ".join(said)


def test_rejected_head_is_not_presented_as_a_result():
    verdict = verdict_of(width_of(64, "EVEN"), kept="rotation")
    said = lines_of(replace(REPORT, verdict=verdict))
    expected = "last checkpoint: check points/one/last.pt (the trained head after epoch 5, which was not chosen; "
    assert [line for line in said if line.startswith(expected)]
    chosen = lines_of(replace(REPORT, verdict=replace(verdict, kept="trained")))
    assert "not chosen" not in " ".join(chosen)


def test_refit_says_which_model_the_figures_are_of():
    verdict = verdict_of(width_of(64, "WIN"), kept="trained")
    refit = RefitCard(speakers=79, held_out_model="trained.pt")
    said = lines_of(replace(REPORT, verdict=verdict, refit=refit))
    assert (
        "All figures are of held-out speakers, and of trained.pt, which has not seen them. After that, best.pt was "
        "fitted again to all 79 speakers."
    ) in said
    assert "EER % by width, trained.pt on held-out speakers" in said


def test_next_commands_can_be_copied():
    said = lines_of(replace(REPORT, verdict=verdict_of(width_of(64, "EVEN"), kept="rotation")))
    assert said[-2:] == [
        "To evaluate: mrlspk eval 'check points/one/best.pt'",
        "To compare the candidates: mrlspk compare 'check points/one'",
    ]


@pytest.mark.parametrize(
    ("files", "flags"), [(("a b.npz",), " --vectors 'a b.npz'"), (("a", "b"), " --vectors FILE --trials FILE")]
)
def test_next_command_after_a_run_on_vectors_names_them(files, flags):
    said = lines_of(replace(REPORT, vectors=tuple(map(Path, files))))
    assert said[-1] == f"To evaluate: mrlspk eval 'check points/one/best.pt'{flags}"


def test_bars_are_as_long_as_the_rates_are_high():
    assert list(width_plot({"64": 0.02, "own, 192 values": 0.005, "8": 0.0})) == [
        f"             64  2.00  {'█' * 40}",
        f"own, 192 values  0.50  {'█' * 10}",
        "              8  0.00",
    ]


def test_rates_of_zero_have_no_bar():
    assert list(width_plot({"64": 0.0})) == ["64  0.00"]
