import io

from rich.console import Console

from mrlspk.cli.output import rate_table
from mrlspk.cli.train_progress import epoch_table
from mrlspk.training.records import Baselines


def lines_of(table):
    text = io.StringIO()
    Console(file=text, width=120).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_own_rate_fills_every_column_and_absent_widths_are_dashes():
    table = rate_table(6, 0.1, {"own, truncated": {4: 0.25}, "this model": {4: 0.2, 8: 0.125}}, dims=(4, 8))
    assert [line.split()[-2:] for line in lines_of(table)] == [
        ["4", "8"],
        ["10.00", "10.00"],
        ["25.00", "–"],
        ["20.00", "12.50"],
    ]


def test_an_epoch_stands_below_what_it_has_to_beat():
    baselines = Baselines(
        own_dim=8,
        own=0.1,
        truncation={4: 0.4, 8: 0.1},
        rotation={4: 0.2, 8: 0.1},
        rotation_method="svd",
        rotation_mean_log_eer=-2.0,
    )
    shown = [" ".join(line.split()) for line in lines_of(epoch_table(baselines, {4: 0.15, 8: 0.05}, "epoch 1"))]
    assert shown == [
        "EER % 4 8",
        "own embedding, 8 values 10.00 10.00",
        "own, truncated 40.00 10.00",
        "rotation (svd) 20.00 10.00",
        "epoch 1 15.00 5.00",
    ]
