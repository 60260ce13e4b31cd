"""Reports opened in the system's Chromium."""

import json
from itertools import chain

import pytest

from chromium import BROKEN_WORDS, launched, needs_chromium
from mrlspk.evaluation.report import write_report
from mrlspk.workflows.report_run import report_run
from report_documents import compare_document, corpus_document, eval_document, expected_tables
from run_folders import card, network_lines, write_run

pytestmark = [pytest.mark.process, needs_chromium]

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
    with launched() as browser:
        yield browser


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
        "corpus": corpus_document(),
        "hostile": _hostile_evaluation(),
        "hostile corpus": corpus_document(HOSTILE, path=f"speech/{HOSTILE[1]}"),
        "hostile comparison": _hostile_comparison(),
    }
    folder = tmp_path_factory.mktemp("reports")
    for name, document in documents.items():
        write_report(document, folder / name)
    for name, (label, warning) in {"training run": ("first", "few"), "hostile run": (HOSTILE[1], HOSTILE[2])}.items():
        found = card(title=label, data=card()["data"] | {"folder": label})
        run = write_run(folder / f"runs {name}" / "a-run", network_lines(), cards={"best": found})
        report_run(run, folder / name, warnings=[warning])
    return {path.name: path for path in folder.iterdir()}


PLAIN = ("corpus", "eval", "compare", "run", "few speakers", "training run")
KINDS = (*PLAIN, "scored apart", "hostile", "hostile comparison", "hostile run", "hostile corpus")


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


@pytest.mark.parametrize("kind", ["eval", "compare", "run", "few speakers"])
def test_browser_shows_the_numbers_of_the_json(open_page, reports, kind):
    document = json.loads((reports[kind] / "report.json").read_text())
    page = open_page(kind)
    for name, rows in expected_tables(document).items():
        cells = page.evaluate(
            "id => [...document.getElementById(id).parentElement.rows].map(row => row.innerText)", name
        )
        assert [row.split() for row in cells] == [" ".join(row).split() for row in rows], name


@pytest.mark.parametrize("kind", KINDS)
def test_document_inside_the_page_is_the_json_beside_it(open_page, reports, kind):
    inside = open_page(kind).evaluate("document.getElementById('report-data').textContent")
    beside = json.loads((reports[kind] / "report.json").read_text())
    if beside["command"] == "data check":  # these may be millions
        del beside["problems"], beside["left_out"]
    assert json.loads(inside) == beside


@pytest.mark.parametrize(
    ("kind", "count"), [("eval", 7), ("compare", 2), ("run", 1), ("training run", 4), ("corpus", 2)]
)
@pytest.mark.parametrize("width", [360, 1200])
def test_plots_are_drawn(open_page, kind, count, width):
    sizes = open_page(kind, width=width).evaluate("""
        [...document.querySelectorAll('figure .plot svg')].map(svg => {
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


@pytest.mark.parametrize("kind", PLAIN)
def test_phone_breaks_no_word_of_a_name(open_page, kind):
    assert open_page(kind, width=360).evaluate(BROKEN_WORDS) == []


def test_dark_page_has_light_type_and_lines(open_page):
    colours = {}
    for scheme in ("light", "dark"):
        page = open_page("eval", scheme=scheme)
        colours[scheme] = page.evaluate("""
            [getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color,
             getComputedStyle(document.querySelector('figure .plot svg text')).fill,
             getComputedStyle(document.querySelector('figure .plot svg')).backgroundColor]
        """)
    assert {colours["light"].pop(), colours["dark"].pop()} == {"rgba(0, 0, 0, 0)"}
    light, dark = ([_brightness(colour) for colour in colours[scheme]] for scheme in ("light", "dark"))
    assert light[0] > 200 > 100 > max(light[1], light[2])
    assert dark[0] < 50 < 200 < min(dark[1], dark[2])


def _brightness(colour):
    return sum(int(part) for part in colour[4:-1].split(",")) / 3


@pytest.mark.parametrize("kind", ["hostile", "hostile comparison", "hostile run", "hostile corpus"])
def test_hostile_names_run_nothing(open_page, kind):
    page = open_page(kind)
    assert page.evaluate("window.hostile") is None
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert page.evaluate("document.querySelectorAll('img, [onload], [onerror]').length") == 0
    assert HOSTILE[1] in page.evaluate("document.body.textContent")


@pytest.mark.parametrize("kind", ["hostile", "hostile comparison"])
def test_hostile_names_are_text(open_page, kind):
    page = open_page(kind)
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
    assert page.evaluate("[...document.querySelectorAll('figure .plot')].every(e => e.role == 'img' && e.ariaLabel)")
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
