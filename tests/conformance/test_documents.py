"""Follow every link of the documents, and compare what they name with the repository."""

import re

import pytest

from conformance.pages import DOCUMENTS, FENCE, ROOT


def anchors(document):
    """Return the anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", document.read_text())):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_of_the_repository_that_is_named_exists(document):
    named = re.findall(r"`((?:configs|scripts|docs|examples|tests)/[\w./-]*)", document.read_text())
    old = {"docs/GPU_REQUIREMENTS.md"}  # of redimnet-mrl, in the migration guide
    assert [name for name in named if name not in old and not (ROOT / name).exists()] == []


def test_index_of_documents_is_whole():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert [page for page in pages if f"]({page})" not in index] == []


def test_modules_of_the_architecture_page_have_the_names_it_gives():
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r" (\w[\w/]*\.py) +(\w+)$", page, re.MULTILINE)
    assert len(named) > 20
    for module, name in named:
        source = (ROOT / "src" / "mrlspk" / module).read_text()
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), f"{module}: {name}"
    for module in re.findall(r"`((?:cli|workflows|training|models|\w+)/[\w/]+\.py|\w+\.py)`", page):
        assert (ROOT / "src" / "mrlspk" / module).exists() or (ROOT / module).exists(), module


def test_messages_of_the_troubleshooting_table_are_those_of_the_code():
    table = (ROOT / "docs" / "getting-started.md").read_text().partition("## Troubleshooting")[2]
    messages = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    source = source.replace("{LINE}", "<0|1> <enroll> <test>")
    assert len(messages) > 20
    assert [message for message in messages if message.replace("\\|", "|") not in source] == []
