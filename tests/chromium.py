"""Pages of reports, measured in the system's Chromium."""

import shutil
from contextlib import contextmanager
from itertools import product

import pytest
from playwright.sync_api import sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs Chromium, which scripts/test.sh installs where apt-get is"
)

WIDTHS, SCHEMES = (360, 1200), ("light", "dark")

# Words of names and paths that stand on more than one line.
BROKEN_WORDS = r"""
    [...document.querySelectorAll('h1, h2, h3, td, th, dd, li, pre')].flatMap(element => {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), broken = [];
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            for (const word of node.data.matchAll(/[\p{L}\p{N}.]+/gu)) {
                const range = document.createRange();
                range.setStart(node, word.index);
                range.setEnd(node, word.index + word[0].length);
                const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
                if (lines.size > 1 && !node.parentElement.closest('.hash, svg')) broken.push(word[0]);
            }
        }
        return broken;
    })
"""


@contextmanager
def launched():
    """Start a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(browser, folder, *, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto((folder / "index.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    return page


def check_fits(folder, *, n_plots):
    """Check that a page fits a phone and a screen, light and dark, draws its plots or more and breaks no word."""
    with launched() as browser:
        for width, scheme in product(WIDTHS, SCHEMES):
            page = open_page(browser, folder, width=width, scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate("document.querySelectorAll('figure .plot svg').length") >= n_plots
            broken = page.evaluate(BROKEN_WORDS)
            assert broken == [], (width, broken)
            page.context.close()
