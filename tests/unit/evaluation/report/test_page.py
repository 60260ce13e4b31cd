import json
import re
from copy import deepcopy
from html import unescape

import matplotlib
import pytest

from mrlspk.evaluation.report.page import embedded_json, heat, render_page, short_names, visible
from report_documents import compare_document, eval_document, of_one_width, without_intervals


@pytest.fixture(scope="module")
def plain_evaluation():
    return eval_document(seeds=(0,), calibrated=False, extras=False)


def test_equal_documents_give_equal_pages_whatever_the_settings_of_matplotlib(plain_evaluation):
    first = render_page(plain_evaluation)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None}):
        again = render_page(deepcopy(plain_evaluation))
    assert again == first


def test_page_holds_the_document():
    document = eval_document(seeds=(0,))
    found = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', render_page(document))
    assert json.loads(found[1]) == document


def test_no_text_ends_the_script_element(plain_evaluation):
    document = plain_evaluation | {"model": "</script><script>alert(1)</script><!--\u2028"}
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
    document = deepcopy(plain_evaluation)
    trials = document["trials"][0]
    del trials["curves"], trials["intervals"]
    for result in trials["results"]:
        result |= {"eer_ci": None, "min_dcf_ci": None}
        for dcf in result["dcf"]:
            dcf["min_dcf_ci"] = None
    page = render_page(document)
    assert "In brackets" not in page
    assert 'class="interval"' not in page
    assert page.count("<figure>") == 1


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


def test_run_is_drawn_against_epochs():
    page = render_page(compare_document(models=("e1.pt", "e2.pt", "e3.pt", "e4.pt"), run=True))
    assert "EER against epoch" in page
    assert 'data-path="run.checkpoints.2.epoch"' in page
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


def test_short_names_stay_different():
    assert short_names(["a/list.txt", "b/other.txt", r"c:\d\third.txt"]) == ["list.txt", "other.txt", "third.txt"]
    assert short_names(["a/list.txt", "b/list.txt"]) == ["a/list.txt", "b/list.txt"]


def test_heat_is_the_place_between_least_and_greatest():
    assert heat(0.2, [0.1, 0.3, None]) == "0.500"
    assert heat(None, [0.1, None]) == "0"
    assert heat(0.1, [0.1, 0.1]) == "0"
    assert heat(None, [None]) == "0"
