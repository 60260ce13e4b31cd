"""The report of a training run, from the files of its folder."""

import csv
import json

import pytest

from mrlspk.errors import DataError, MrlspkError
from mrlspk.workflows.report_run import report_run
from run_folders import card, network_lines, run_line, write_run


def report_of(run, tmp_path):
    page = report_run(run, tmp_path / "page")
    return page.read_text(), json.loads((page.parent / "report.json").read_text())


def test_page_of_a_network_run_shows_its_best_epoch(tmp_path):
    run = write_run(tmp_path / "first", network_lines(), cards={"best": card()})
    page, document = report_of(run, tmp_path)
    assert "<title>first: EER 2.50 % at width 32 on 24 held-out speakers of speech-of-mine</title>" in page
    assert document["sentences"] == ["The best epoch is 2 of 2 validated epochs."]
    assert document["run"]["state"] == "ended after 2 epochs"
    assert page.count("<figure>") == 4
    with (tmp_path / "page" / "epochs.csv").open() as file:
        assert [row["train_loss"] for row in csv.DictReader(file)] == ["1.25", "0.625"]


def test_run_that_was_killed_has_a_page_of_what_it_did(tmp_path):
    run = write_run(tmp_path / "first", network_lines(n_epochs=1), tail='{"event": "st')
    page, document = report_of(run, tmp_path)
    assert document["run"]["state"] == "1 of 2 epochs done: still training, stopped, or ended early"
    assert [row["eer"] for row in document["best"]] == [0.3, 0.2, 0.1]
    assert "EER 10.00 % at width 32" in page


@pytest.mark.parametrize("lines", [None, [], [run_line()]])
def test_run_without_an_epoch_has_a_page_without_figures(tmp_path, lines):
    page, document = report_of(write_run(tmp_path / "first", lines), tmp_path)
    assert document["sentences"] == ["There are no figures yet: no epoch has ended."]
    assert "<figure>" not in page


def test_folder_of_runs_is_refused_with_one_of_them(tmp_path):
    run = write_run(tmp_path / "runs" / "first", network_lines())
    with pytest.raises(DataError, match="is not the folder of a training run") as caught:
        report_run(tmp_path / "runs", tmp_path / "page")
    assert caught.value.fix == f"It holds runs: give one of them, such as {run}."
    assert not (tmp_path / "page").exists()


def test_checkpoint_in_place_of_its_folder_is_named(tmp_path):
    run = write_run(tmp_path / "first", network_lines())
    with pytest.raises(DataError, match="is a file") as caught:
        report_run(run / "config.yaml", tmp_path / "page")
    assert caught.value.fix == f"Give {run}."


def test_earlier_report_is_replaced_only_with_force(tmp_path):
    run = write_run(tmp_path / "first", network_lines(), cards={"best": card()})
    report_run(run, tmp_path / "page")
    with pytest.raises(MrlspkError, match="exists"):
        report_run(run, tmp_path / "page")
    assert report_run(run, tmp_path / "page", force=True) == tmp_path / "page" / "index.html"
