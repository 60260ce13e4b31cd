"""The report of a training run, from the files of its folder."""

import csv
import json

import pytest

from mrlspk.errors import DataError, MrlspkError
from mrlspk.workflows import run_record
from mrlspk.workflows.report_run import report_run
from mrlspk.workflows.run_document import run_values
from mrlspk.workflows.run_record import read_run
from report_documents import page_tables
from run_folders import card, network_lines, run_line, write_run


def document_of(run, **options):
    return run_values(read_run(run), **options)


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
    document = document_of(run)
    assert document["run"]["state"] == "1 of 2 epochs done: still training, stopped, or ended early"
    assert [row["eer"] for row in document["best"]] == [0.3, 0.2, 0.1]


@pytest.mark.parametrize("lines", [None, [], [run_line()]])
def test_run_without_an_epoch_has_a_page_without_figures(tmp_path, lines):
    page, document = report_of(write_run(tmp_path / "first", lines), tmp_path)
    assert document["sentences"] == ["There are no figures yet: no epoch has ended."]
    assert "<figure>" not in page


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("best", "Nothing was trained: best.pt is the rotation."),
        ("rotation", "No epoch has ended yet: these are figures before training."),
    ],
)
def test_run_before_training_shows_the_rotation(tmp_path, name, sentence):
    run = write_run(tmp_path / "first", [run_line()], cards={name: card(f"{name}.pt")})
    page, document = report_of(run, tmp_path)
    assert document["sentences"] == [sentence]
    assert f"<h3>{name}.pt</h3>" in page


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        ({}, ""),
        ({"vectors": ["my v.npz"], "val_vectors": []}, " --vectors 'my v.npz'"),
        ({"vectors": ["a.npz", "b.npz"]}, " --vectors FILE --trials FILE"),
        ({"vectors": ["a.npz", "b.npz"], "val_vectors": ["v.npz"]}, " --vectors v.npz"),
    ],
    ids=["audio", "vectors", "several files", "validation"],
)
def test_next_command_can_be_copied(tmp_path, data, flags):
    lines = [run_line(config={"data": data}), *network_lines()[1:]]
    run = write_run(tmp_path / "first", lines, cards={"best": card()})
    assert document_of(run)["next"] == [f"mrlspk eval {run / 'best.pt'}{flags}"]


def test_page_warns_of_what_the_figures_hang_on(tmp_path):
    data = card()["data"] | {"synthetic": True}
    lines = [run_line(n_validation_speakers=8), *network_lines()[1:]]
    run = write_run(tmp_path / "first", lines, cards={"best": card(data=data, debug_batches=2)})
    told = document_of(run, warnings=["of the run"])["warnings"]
    starts = ["of the run", "trained on the demo corpus", "a debug run: each epoch ended after 2 batches"]
    starts += ["8 held-out speakers are few", "the held-out speakers chose the epoch"]
    assert [text[: len(start)] for text, start in zip(told, starts, strict=True)] == starts


def test_warnings_of_the_run_stay_on_later_pages(tmp_path):
    run = write_run(tmp_path / "first", [run_line()])
    report_run(run, run / "report", warnings=["silent: a.wav"])
    report_run(run, run / "report", force=True, warnings=["short: b.wav"])
    document = document_of(run)
    assert document["warnings"][:2] == document["run_warnings"] == ["silent: a.wav", "short: b.wav"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", "null"])
def test_damaged_card_is_an_error(tmp_path, text):
    run = write_run(tmp_path / "first", network_lines())
    (run / "best.card.json").write_text(text)
    with pytest.raises(DataError) as caught:
        report_run(run, tmp_path / "page")
    assert caught.value.where == run / "best.card.json"


def test_lines_that_are_no_entries_are_left_out(tmp_path):
    run = write_run(tmp_path / "first", network_lines(), tail='[1]\n{}\n{"event": "step"}\n{"event": []}\n7\n')
    assert len(document_of(run)["steps"]) == 4


def test_verdict_with_few_speakers_of_a_domain_is_shown_by_domain(tmp_path, monkeypatch):
    comparison = {"candidate": "trained", "against": "start", "delta_eer": -0.01, "delta_ci": None, "p_value": 0.2}
    width = {"dim": 8, "published": True, "eer": {"rotation": 0.3, "start": 0.2, "trained": 0.19}}
    width["comparisons"] = [comparison | {"outcome": "EVEN"}]
    domains = [{"domain": name, "decides": name == "calls", "widths": [width]} for name in ("calls", "radio")]
    verdict = {"widths": [{"dim": 8, "rotation": 0.3, "start": 0.2, "trained": 0.19}], "kept": "start"}
    verdict |= {"reason": "so", "domains": domains, "against": "start", "judges_chose_epoch": False, "n_speakers": 30}
    monkeypatch.setattr(run_record, "_read_verdict", lambda _: verdict)
    monkeypatch.setattr(run_record, "_explain", lambda _: ("On 30 held-out speakers.", "best.pt holds the start."))
    run = write_run(tmp_path / "first", [run_line()], cards={"best": card()})
    (run / "rotation.pt").touch()
    page, _ = report_of(run, tmp_path)
    (rows,) = [rows for name, rows in page_tables(page).items() if name == "verdict-table"]
    assert rows[1] == ["calls", "8", "30.00", "20.00", "19.00", "−1.00 p 0.200", "same"]
    assert rows[2][0] == "radio few speakers: does not decide"
    assert "the held-out speakers chose the epoch" not in page


def test_verdict_of_an_earlier_version_is_shown_with_its_reason(tmp_path, monkeypatch):
    widths = [{"dim": 8, "published": True, "rotation": 0.2, "trained": 0.25, "outcome": "REGRESSION"}]
    verdict = {"widths": widths, "kept": "rotation", "reason": "the trained head is worse at 8"}
    monkeypatch.setattr(run_record, "_read_verdict", lambda _: verdict)
    run = write_run(tmp_path / "first", [run_line()], cards={"best": card()})
    (run / "rotation.pt").touch()
    page, document = report_of(run, tmp_path)
    assert document["sentences"] == [
        "Kept the rotation as best.pt: on held-out speakers the trained head is worse at 8."
    ]
    assert page_tables(page)["verdict-table"][1] == ["8", "20.00", "25.00", "+5.00", "worse"]


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
    run = write_run(tmp_path / "first", [run_line()])
    report_run(run, tmp_path / "page")
    with pytest.raises(MrlspkError, match="exists"):
        report_run(run, tmp_path / "page")
    assert report_run(run, tmp_path / "page", force=True) == tmp_path / "page" / "index.html"
