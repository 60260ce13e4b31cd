import hashlib
import json
import re
from copy import deepcopy
from html import unescape

import matplotlib
import pytest

from mrlspk.evaluation.report.environment import embedded_json, visible
from mrlspk.evaluation.report.page import heat, render_page
from report_documents import compare_document, eval_document, of_one_width, without_intervals


@pytest.fixture(scope="module")
def plain_evaluation():
    return eval_document(seeds=(0,), calibrated=False, extras=False)


def test_equal_documents_give_equal_pages_with_any_matplotlib_settings(plain_evaluation):
    first = render_page(plain_evaluation)
    with matplotlib.rc_context({"font.size": 30, "axes.labelsize": 30, "svg.hashsalt": None}):
        again = render_page(deepcopy(plain_evaluation))
    assert again == first


def test_page_holds_the_document():
    document = eval_document(seeds=(0,))
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', render_page(document))
    assert json.loads(found[1]) == document


def test_no_text_ends_the_script_element(plain_evaluation):
    document = plain_evaluation | {"model": {"path": "</script><script>alert(1)</script><!--\u2028"}}
    text = embedded_json(document)
    assert not set("<>&") & set(text)
    assert json.loads(text) == document
    assert render_page(document).count("<script") == 1


def test_page_of_only_what_every_evaluation_has(plain_evaluation):
    page = render_page(plain_evaluation)
    assert "DET curves" in page
    assert "not calibrated" in page
    for absent in ("Calibration</h4>", "Worst speakers", "by duration", "Most confident", "missing", "actDCF<small>"):
        assert absent not in page


def test_page_without_intervals_or_curves(plain_evaluation):
    document = without_intervals(plain_evaluation)
    del document["trials"][0]["curves"]
    page = render_page(document)
    assert "No intervals: 24 speakers are too few." in page
    assert "In brackets" not in page
    assert 'class="interval"' not in page
    assert page.count("<figure>") == 1


def _reproduce(page):
    return _text(page[page.index('id="reproduce"') : page.index('id="definitions"')])


def _text(page):
    return " ".join(unescape(re.sub("<[^>]*>", " ", page.replace("<wbr>", ""))).split())


def test_page_describes_intervals_only_if_there_are_any():
    document = eval_document(seeds=(0, 1), extras=False)
    assert "intervals 95 %, 12 resamples of the speakers, seed 0" in _reproduce(render_page(document))
    assert "of the lists that have" not in _reproduce(render_page(document))
    none = without_intervals(document)
    assert "intervals none" in _reproduce(render_page(none))
    some = document | {"trials": [document["trials"][0], none["trials"][1]]}
    assert "seed 0, for the lists with enough speakers" in _reproduce(render_page(some))


def test_definition_of_intervals_matches_their_computation(plain_evaluation):
    text = _text(render_page(plain_evaluation))
    assert "the variance of that is subtracted 1.5 times" in text
    assert "a normal interval, on the scale of the log-odds for a rate or a cost" in text
    assert "It holds for speakers like those of the list" in text
    line = "95 % normal intervals for speakers like these, with the variance of 12 resamples of the 24 speakers"
    assert line in text


def test_enrolment_models_are_named_where_there_are_any():
    page = _text(render_page(eval_document(seeds=(0, 1), extras=False)))
    assert hashlib.sha256(b"models1").hexdigest() in page
    assert "of the enrolment models" in page
    assert "of the enrolment models" not in render_page(eval_document(seeds=(0,), extras=False))


def test_page_of_one_width(plain_evaluation):
    assert render_page(of_one_width(plain_evaluation)).count("<figure>") == 3


@pytest.mark.parametrize(
    "document",
    [
        of_one_width(without_intervals(eval_document(seeds=(0,), extras=False))),
        of_one_width(compare_document(speakers=True)),
        of_one_width(compare_document(models=("e1.pt",), run=True, speakers=True)),
    ],
    ids=["evaluation", "comparison", "run of one checkpoint"],
)
def test_page_of_one_rate_without_an_interval(document):
    assert "EER against" in render_page(document)


def test_official_list_is_named_as_it_was_recognised():
    document = eval_document(seeds=(0, 1), extras=False)
    document["trials"][1]["official"] = {"name": "VoxCeleb1-E", "by": "counts"}
    page = unescape(render_page(document))
    assert "This list is VoxCeleb1-O (cleaned)." in page
    assert "This list has the counts of VoxCeleb1-E." in page


def test_comparison_names_a_winner_or_none():
    document = compare_document()
    document["trials"][0]["results"][0]["winner"] = None
    page = render_page(document)
    table = page[page.index('id="winners"') : page.index("</table>")]
    assert table.count("none") == 1
    assert table.count("<strong>b.pt</strong>") == 3


def test_lists_without_intervals_have_no_winner():
    few = compare_document(speakers=True)
    page = render_page(few)
    assert 'id="winners"' not in page
    assert "No list has intervals, so no winner can be named." in page
    assert "intervals none" in _reproduce(page)
    both = compare_document()
    both["trials"].append(few["trials"][0] | {"path": "few.txt"})
    page = render_page(both)
    table = page[page.index('id="winners"') : page.index("</table>")]
    assert table.count("no interval") == 4


def test_winner_and_p_values_are_explained():
    document = compare_document()
    text = _text(render_page(document))
    assert "The model whose difference to every other has an interval below zero" in text
    assert "for all comparisons together read p Holm" in text
    assert "p Holm is valid for all 4 of this page together. The p of ΔminDCF is not corrected." in text
    assert "p of ΔminDCF, not corrected" in text
    assert document["note"] not in text[: text.index("mrlspk 0.1.0 · schema")]


def test_mcnemar_is_not_called_a_decision():
    text = _text(render_page(compare_document(speakers=True)))
    assert "p McNemar, too small" in text
    assert "so it is too small to decide" in text


def test_scoring_is_described_once_or_by_model():
    document = compare_document()
    text = _reproduce(render_page(document))
    assert "Scores of every model: files whole up to 60 s" in text
    assert "normalisation: AS-Norm, 300 highest cohort scores, cohort cccc" in text
    document["scored_as"]["b.pt"] = {"score_norm": "none", "top_n": None, "cohort": None, "max_seconds": 5.5}
    page = render_page(document)
    assert "b.pt 5.5 none – –" in _reproduce(page)
    assert "a.pt 60 AS-Norm 300 cccc" in _reproduce(page)
    assert "The models were not scored in the same way" in page


def test_long_names_of_models_stand_once_at_the_top():
    models = tuple(f"/data/{'long' * 20}/{'name' * 20}-{number}/best.pt" for number in (1, 2))
    page = render_page(compare_document(models=models)).replace("<wbr>", "")
    for model in models:
        assert page[: page.index("<script")].replace(f"compare {' '.join(models)}", "").count(model) == 1
    assert f"model 2 {models[1]}" in _text(page)
    assert "Below zero model 2 has the lower error." in page


def test_run_is_drawn_against_epochs():
    page = render_page(compare_document(models=("e1.pt", "e2.pt", "e3.pt", "e4.pt"), run=True))
    assert "EER against epoch" in page
    assert "Speaker by speaker" not in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x00\n\tb", "a\\x00\\n\\tb"),
        ("evil\u202egpj.wav", "evil\\u202egpj.wav"),
        ("half\udc80", "half\\udc80"),
        ("Jürgen 李 naïve.wav", "Jürgen 李 naïve.wav"),
    ],
)
def test_what_does_not_print_is_shown_by_its_code(text, shown):
    assert visible(text) == shown


def test_heat_is_the_place_between_least_and_greatest():
    assert heat(0.2, [0.1, 0.3, None]) == "0.500"
    assert heat(None, [0.1, None]) == "0"
    assert heat(0.1, [0.1, 0.1]) == "0"
    assert heat(None, [None]) == "0"


@pytest.mark.parametrize(
    ("document", "title"),
    [
        (eval_document(seeds=(0,), extras=False), "one.pt on list-0.txt: EER "),
        (eval_document(seeds=(0, 1), extras=False), "one.pt on list-0.txt and list-1.txt"),
        (compare_document(), "a.pt · b.pt on list-0.txt"),
        (compare_document(models=("e1.pt", "e2.pt"), run=True), "first by epoch on list-0.txt"),
    ],
    ids=["list", "two lists", "comparison", "run"],
)
def test_title_says_what_was_measured(document, title):
    if document["command"] == "eval":
        document["model"]["path"] = "models/one.pt"
    assert re.search("<title>(.*?)</title>", render_page(document))[1].startswith(title)


def test_page_shows_the_warnings_of_its_command():
    document = eval_document(seeds=(0,), extras=False) | {"warnings": ["call.wav: <silent>"]}
    assert "Warning call.wav: <silent>" in _text(render_page(document))
    assert "Warning" not in _text(render_page(document | {"warnings": []}))
