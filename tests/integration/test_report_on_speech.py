"""Two checkpoints on the three lists of real speech: the terminal, the JSON and the page tell the same."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from chromium import check_fits, needs_chromium
from report_documents import expected_tables, page_tables

pytestmark = [pytest.mark.usefixtures("speech_cache"), pytest.mark.slow]

LISTS = {"english": "test", "crosslingual": "test", "short": "test-short"}
DIMS = ("--dims", "32,64,192", "--allow-untrained-dim")


def check_page(folder, printed):
    """Check that the page's numbers are those of report.json, and report.json those that were printed."""
    text = (folder / "report.json").read_text()
    document = json.loads(text)
    for trials in document["trials"]:
        trials.pop("curves", None)
    assert document == printed
    for model in document.get("models", ()):  # the page shortens their names
        text = text.replace(model, Path(model).name)
    shown, expected = page_tables((folder / "index.html").read_text()), expected_tables(json.loads(text))
    assert {name: shown[name] for name in expected} == expected
    return expected


def table_rows(text, n_lists):
    """Return the rows of the table by width of each list, as words."""
    starts = [i for i, line in enumerate(text.splitlines()) if line.startswith("width ")]
    assert len(starts) == n_lists
    lines = text.splitlines()
    return [[line.split() for line in lines[start + 1 : start + 4]] for start, _ in pairwise([*starts, len(lines)])]


@pytest.fixture(scope="module")
def models(shared, tmp_path_factory):
    """The small model trained on real speech, and the same with a disturbed head."""
    folder = tmp_path_factory.mktemp("models")
    first = shared / "pretrained" / "redimnet-small-speech.pt"
    checkpoint = torch.load(first, map_location="cpu", weights_only=True)
    weight = checkpoint["state_dict"]["linear.weight"]
    generator = torch.Generator().manual_seed(0)
    weight += 0.8 * weight.std() * torch.randn(weight.shape, generator=generator)
    torch.save(checkpoint, folder / "disturbed.pt")
    return str(first), str(folder / "disturbed.pt")


@pytest.fixture
def flags(shared):
    speech = shared / "speech"
    lists = [part for name in LISTS for part in ("--trials", speech / f"trials-{name}.txt")]
    return [*lists, *(part for folder in LISTS.values() for part in ("--audio-root", speech / folder)), *DIMS]


def test_report_of_a_checkpoint_tells_what_is_printed(run, models, flags, tmp_path):
    disturbed = models[1]
    outcome = run("eval", disturbed, *flags, "--report", tmp_path / "page", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    shown = check_page(tmp_path / "page", outcome.json)
    assert {f"results-{i}" for i in range(3)} <= set(shown)
    rows = table_rows(run("eval", disturbed, *flags).stdout, len(LISTS))
    for trials, listed in zip(outcome.json["trials"], rows, strict=True):
        for result, row in zip(trials["results"], listed, strict=True):
            costs = [f"{each['min_dcf']:.4f}" for each in result["dcf"]]
            figures = [f"{100 * result['eer']:.2f}", *costs, f"{result['min_cllr']:.4f}"]
            assert row == [str(result["dim"]), *figures, f"{result['threshold']:.4f}"]


def test_report_of_the_comparison_tells_what_is_printed(run, models, flags, tmp_path):
    outcome = run("compare", *models, *flags, "--report", tmp_path / "comparison", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    shown = check_page(tmp_path / "comparison", outcome.json)
    assert {f"pairs-{i}" for i in range(3)} <= set(shown)
    rows = table_rows(run("compare", *models, *flags).stdout, len(LISTS))
    for trials, listed in zip(outcome.json["trials"], rows, strict=True):
        for width, row in zip(trials["results"], listed, strict=True):
            (pair,) = width["pairs"]
            eers = [f"{100 * model['eer']:.2f}" for model in width["models"]]
            signs = "/".join(str(pair["signs"][key]) for key in ("fewer", "more", "equal"))
            assert row == [str(width["dim"]), *eers, f"{100 * pair['delta_eer']:+.2f}", signs, "–"]
    assert outcome.json["trials"][2]["results"][2]["pairs"][0]["delta_eer"] > 0  # the disturbed head is worse


@needs_chromium
def test_page_of_real_speech_fits_a_phone(run, models, shared, tmp_path):
    speech = shared / "speech"
    lists = ("--trials", speech / "trials-english.txt", "--audio-root", speech / "test")
    assert run("eval", models[0], *lists, "--report", tmp_path / "page", "--json").exit_code == 0
    check_fits(tmp_path / "page", n_plots=3)
