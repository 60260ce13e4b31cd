import json
import os
from datetime import datetime

import pytest

from mrlspk.inference.default_model import DefaultModel, PassedOver, choose_default
from mrlspk.pretrained.registry import find_model

CARD = {
    "data": {"folder": "vox1"},
    "family": "redimnet",
    "base": {"model": "b2"},
    "results": [{"eer": 0.2}, {"eer": 0.1}],
}
PUBLISHED = "redimnet-b2-vox2-ft_lm"


@pytest.fixture
def write_run(tmp_path):
    """Write the files of a run that decide, each run a day younger than the one before."""

    def write(name, card=CARD):
        best = tmp_path / name / "best.pt"
        best.parent.mkdir()
        best.touch()
        written = datetime(2026, 1, len(list(tmp_path.iterdir())), 12).timestamp()
        os.utime(best, (written, written))
        if card is not None:
            best.with_name("best.card.json").write_text(card if isinstance(card, str) else json.dumps(card))
        return best

    return write


def test_newest_run_comes_with_date_corpus_and_error_rate(write_run, tmp_path):
    write_run("z")
    newest = write_run("a")
    assert choose_default(tmp_path) == DefaultModel(str(newest), "newest run", "2026-01-02", "vox1", 0.1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": {"folder": "train", "synthetic": True}}, "trained on the synthetic voices of the demo corpus"),
        ({"debug_batches": 2}, "a debug run"),
        ({"family": "head", "base": None}, "a head for vectors, not for audio"),
    ],
)
def test_run_that_is_of_no_real_speech_is_passed_over(write_run, tmp_path, changes, reason):
    older, newer = write_run("older"), write_run("newer", CARD | changes)
    found = choose_default(tmp_path)
    assert (found.model, found.passed_over) == (str(older), (PassedOver(newer, reason),))


def test_without_a_real_run_the_published_model_is_left(write_run, tmp_path):
    passed = write_run("debug", CARD | {"debug_batches": 2})
    found = choose_default(tmp_path)
    assert (found.model, found.source, [each.path for each in found.passed_over]) == (
        PUBLISHED, "published default", [passed],
    )  # fmt: skip
    published = find_model(PUBLISHED)
    assert (found.date, found.corpus, found.eer) == (None, published.training_set, published.published_eer["vox1-o"])


def test_run_without_a_card_counts_and_a_damaged_card_is_told(write_run, tmp_path, caplog):
    write_run("old", None)
    assert (choose_default(tmp_path).corpus, caplog.text) == (None, "")
    damaged = write_run("new", '{"data": 1}')
    assert (choose_default(tmp_path).model, choose_default(tmp_path).eer) == (str(damaged), None)
    assert f"it is not known what {damaged} was trained on" in caplog.text
