"""Reports opened in the system's Chromium."""

import json
import shutil
from itertools import chain
from urllib.parse import unquote

import pytest
from playwright.sync_api import sync_playwright

from mrlspk.evaluation.report import write_report
from report_documents import compare_document, eval_document

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which scripts/test.sh installs where apt-get is"),
]

HOSTILE = (
    "<script>window.hostile = 1</script>",
    "</script><img src=x onerror='window.hostile = 1'>",
    "\"'><svg onload=window.hostile=1>{{ 7 * 7 }}{% endraw %}",
    "a\x00b\x1b[31m\u202egnp.wav\nc",
    "half\udc80",
    "&lt;already escaped&gt;",
    "long" * 60,
)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Folder of each kind of report by its name."""
    names = tuple(f"epoch-{number}.pt" for number in range(1, 5))
    documents = {
        "eval": eval_document(),
        "compare": compare_document(),
        "run": compare_document(models=names, run=True),
        "few speakers": compare_document(speakers=True),
        "scored apart": _scored_apart(),
        "hostile": _hostile_evaluation(),
        "hostile comparison": _hostile_comparison(),
    }
    folder = tmp_path_factory.mktemp("reports")
    for name, document in documents.items():
        write_report(document, folder / name)
    return {name: folder / name for name in documents}


KINDS = ("eval", "compare", "run", "few speakers", "scored apart", "hostile", "hostile comparison")


@pytest.fixture
def open_page(browser, reports):
    """Open a report; at the end nothing may have been asked for, logged or thrown."""
    contexts, complaints, requests = [], [], []

    def open_report(kind, *, width=1200, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((reports[kind] / "index.html").as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.endswith("/index.html")] == []


def _scored_apart():
    """A comparison of long names, of scores made in two ways, with lists with and without intervals."""
    document = compare_document(models=tuple(f"{'long-' * 20}{number}.pt" for number in range(6)))
    document["scored_as"][document["models"][0]] = {
        "score_norm": "none",
        "top_n": None,
        "cohort": None,
        "max_seconds": 7.25,
    }
    few = compare_document(models=document["models"], seeds=(1,), speakers=True)
    document["trials"] += few["trials"]
    return document


def _hostile_evaluation():
    document = eval_document(seeds=(0,), name=HOSTILE[1])
    document["command_line"] = f"mrlspk eval {HOSTILE[0]}"
    trials = document["trials"][0]
    trials |= {"path": f"lists/{HOSTILE[2]}", "source": HOSTILE[3], "audio_root": HOSTILE[6]}
    trials["missing"]["first"] = list(HOSTILE)
    trials["intervals"]["note"] = HOSTILE[0]
    trials["breakdown"][0]["column"] = HOSTILE[0]
    trials["breakdown"][0]["groups"][0]["value"] = HOSTILE[1]
    for speaker, name in zip(trials["worst_speakers"]["speakers"], HOSTILE, strict=False):
        speaker["speaker"] = name
    for error, name in zip(trials["errors"]["misses"], HOSTILE, strict=False):
        error |= {"enroll_id": name, "test_id": name[::-1]}
    return document


def _hostile_comparison():
    document = compare_document(models=HOSTILE[:3], speakers=True)
    for result in document["trials"][0]["results"]:
        for speaker, name in zip(result["pairs"][0]["speakers"], HOSTILE, strict=False):
            speaker["speaker"] = name
    return document


def _shown(value, kind):
    """What the page shows of a number, after its own words: a second writing of the formats."""
    if value is None:
        return "–"
    if kind == "p" and value < 0.001:
        return "< 0.001"
    scale = 100 if kind in {"percent", "share", "points"} else 1
    decimals = {"percent": 2, "points": 2, "p": 3, "cost": 4, "cost_change": 4, "score": 4}.get(kind)
    if kind == "count":
        text = format(value, ",d")
    elif decimals is None:
        text = str(round(scale * value, 10)).removesuffix(".0")
    else:
        text = f"{scale * value:.{decimals}f}"
    if kind in {"points", "cost_change"}:
        text = text.lstrip("-") if float(text) == 0 else text if value < 0 else f"+{text}"
    return text.replace("-", "−")


def _value_at(document, path):
    for key in path.split("."):
        document = document[int(key)] if isinstance(document, list) else (document or {}).get(unquote(key))
    return document


def _marked(page):
    return page.evaluate(
        "[...document.querySelectorAll('[data-path]')].map(e => [e.dataset.path, e.dataset.format, e.textContent])"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_is_that_of_the_json(open_page, reports, kind):
    document = json.loads((reports[kind] / "report.json").read_text())
    marked = _marked(open_page(kind))
    wrong = [(path, text) for path, form, text in marked if text != _shown(_value_at(document, path), form)]
    assert len(marked) > 60
    assert wrong == []


@pytest.mark.parametrize("kind", ["eval", "compare"])
def test_no_cell_holds_a_number_of_its_own(open_page, kind):
    cells = open_page(kind).evaluate("""
        [...document.querySelectorAll('td:not(.text), .card p, .big, section li')].map(cell => {
            const copy = cell.cloneNode(true);
            copy.querySelectorAll('[data-path]').forEach(each => each.remove());
            return copy.textContent;
        })
    """)
    own = [text for text in cells if any(letter.isdigit() for letter in text)]
    assert [text for text in own if "VoxCeleb1-O" not in text and "list-" not in text] == []


def test_evaluation_shows_every_figure(open_page, reports):
    document = json.loads((reports["eval"] / "report.json").read_text())
    shown = {path for path, _, _ in _marked(open_page("eval"))}
    for index, trials in enumerate(document["trials"]):
        at = f"trials.{index}"
        for row in range(len(trials["results"])):
            keys = ["dim", "eer", "eer_ci.0", "eer_ci.1", "threshold", "accuracy", "cllr", "min_cllr"]
            keys += ["calibrated_threshold", "false_accepts.1.threshold", "false_accepts.1.p_miss"]
            keys += [f"dcf.{i}.{key}" for i in (0, 1) for key in ("min_dcf", "min_dcf_ci.0", "act_dcf")]
            assert shown.issuperset(f"{at}.results.{row}.{key}" for key in keys)
            assert f"{at}.durations.4.results.{row}.eer" in shown
            assert f"{at}.breakdown.0.groups.1.results.{row}.eer" in shown
            last = len(trials["results"]) - 1
            assert {f"{at}.baselines.{i}.results.{row}.eer" in shown for i in (1, 2)} == {row < last}
        assert {f"{at}.baselines.0.results.0.{key}" for key in ("dim", "eer")} <= shown
        assert f"{at}.worst_speakers.speakers.9.p_fa" in shown
        assert f"{at}.errors.misses.0.score" in shown


def test_comparison_shows_every_figure(open_page):
    shown = {path for path, _, _ in _marked(open_page("compare"))}
    keys = ("delta_eer", "delta_ci.0", "p_value", "p_holm", "delta_min_dcf", "min_dcf_p_value", "mcnemar.p_value")
    keys += ("delta_min_dcf_ci.1", "mcnemar.only_a_wrong", "mcnemar.only_b_wrong")
    for row in range(4):
        assert shown.issuperset(f"trials.0.results.{row}.pairs.0.{key}" for key in keys)
        assert f"trials.0.results.{row}.models.1.min_dcf_ci.1" in shown


def test_comparison_over_few_speakers_shows_each(open_page):
    page = open_page("few speakers")
    shown = {path for path, _, _ in _marked(page)}
    keys = ("signs.fewer", "signs.more", "signs.equal", "speakers.23.eer_a", "speakers.23.eer_b", "speakers.23.delta")
    for row in range(4):
        assert shown.issuperset(f"trials.0.results.{row}.pairs.0.{key}" for key in keys)
        assert f"trials.0.results.{row}.pairs.0.p_value" not in shown
    assert "Small dots are speakers" in page.evaluate("document.body.textContent")


@pytest.mark.parametrize("kind", KINDS)
def test_document_inside_the_page_is_the_json_beside_it(open_page, reports, kind):
    inside = open_page(kind).evaluate("document.getElementById('report-data').textContent")
    assert json.loads(inside) == json.loads((reports[kind] / "report.json").read_text())


@pytest.mark.parametrize(("kind", "count"), [("eval", 7), ("compare", 2), ("run", 1)])
@pytest.mark.parametrize("width", [360, 1200])
def test_plots_are_drawn(open_page, kind, count, width):
    sizes = open_page(kind, width=width).evaluate("""
        [...document.querySelectorAll('svg.plot')].map(svg => {
            const box = svg.getBoundingClientRect();
            const drawn = svg.querySelector('g').getBoundingClientRect();
            const type = svg.querySelector('text').getBoundingClientRect();
            return [box.width, box.height, drawn.width, drawn.height, type.height];
        })
    """)
    assert len(sizes) == count
    for box_width, box_height, drawn_width, drawn_height, type_height in sizes:
        assert min(box_width, drawn_width) > 250
        assert min(box_height, drawn_height) > 100
        assert type_height > 8


@pytest.mark.parametrize("kind", KINDS)
def test_phone_scrolls_tables_in_their_own_box_only(open_page, kind):
    page = open_page(kind, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    boxes = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(each => [each.getBoundingClientRect().right, each.scrollWidth])"
    )
    assert max(right for right, _ in boxes) <= 360
    assert max(scroll_width for _, scroll_width in boxes) > 360


def test_dark_page_has_light_type_and_lines(open_page):
    colours = {}
    for scheme in ("light", "dark"):
        page = open_page("eval", scheme=scheme)
        colours[scheme] = page.evaluate("""
            [getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color,
             getComputedStyle(document.querySelector('svg.plot text')).fill,
             getComputedStyle(document.querySelector('.legend line')).stroke]
        """)
    light, dark = ([_brightness(colour) for colour in colours[scheme]] for scheme in ("light", "dark"))
    assert light[0] > 200 > 100 > max(light[1], light[2])
    assert dark[0] < 50 < 200 < min(dark[1], dark[2])
    assert dark[3] > light[3]


def _brightness(colour):
    return sum(int(part) for part in colour[4:-1].split(",")) / 3


@pytest.mark.parametrize("kind", ["hostile", "hostile comparison"])
def test_hostile_names_are_text(open_page, kind):
    page = open_page(kind)
    assert page.evaluate("window.hostile") is None
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert page.evaluate("document.querySelectorAll('img, [onload], [onerror]').length") == 0
    text = page.evaluate("document.body.textContent")
    controls = "a\\x00b\\x1b[31m\\u202egnp.wav\\nc"
    for name in chain(HOSTILE[:3], HOSTILE[5:], (controls, "half\\udc80")):
        assert name in text


@pytest.mark.parametrize("kind", KINDS)
def test_page_can_be_heard_and_used_by_keys(open_page, kind):
    page = open_page(kind)
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    assert page.evaluate("document.querySelectorAll('th:not([scope]), table:not(:has(caption))').length") == 0
    assert page.evaluate("[...document.querySelectorAll('svg.plot')].every(e => e.getAttribute('aria-label'))")
    labels = page.evaluate("[...document.querySelectorAll('.scroll')].map(e => e.getAttribute('aria-labelledby'))")
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(set(ids)) == len(ids)
    targets = page.evaluate("[...document.querySelectorAll('a[href]')].map(each => each.getAttribute('href').slice(1))")
    assert set(targets) | set(labels) <= set(ids)


def test_page_prints_light_and_whole(open_page):
    page = open_page("few speakers", scheme="dark")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = false })")
    page.emulate_media(media="print")
    assert _brightness(page.evaluate("getComputedStyle(document.documentElement).backgroundColor")) > 200
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.evaluate("document.querySelector('details table').checkVisibility({contentVisibilityAuto: true})")
    assert len(page.pdf()) > 10_000
