"""Names and places of tests, and first words of module docstrings."""

import ast
import re
from pathlib import Path

import pytest

import mrlspk

SOURCE = Path(mrlspk.__file__).parent
TESTS = Path(__file__).parents[1]
UNIT = TESTS / "unit"
LONGEST_NAME = 69
RIDDLES = ("What", "Which", "Where", "How", "Whose", "When", "Whether")


def names_of_tests(text):
    return re.findall(r"^\s*def (test_\w+)", text, re.MULTILINE)


def is_riddle(docstring):
    return bool(re.match(rf"({'|'.join(RIDDLES)})\b", docstring or ""))


def has_module(test, folder):
    """Say whether ``test_a.py`` or ``test_a_topic.py`` has its ``a.py``, or a package ``a``, in a folder."""
    words = test.stem.split("_")[1:]
    names = ["_".join(words[:n]) for n in range(1, len(words) + 1)]
    return any((folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file() for name in names)


def source_folder(test):
    place = test.parent.relative_to(UNIT)
    return SOURCE.parents[1] / place if place.parts[:1] == ("scripts",) else SOURCE / place


def test_names_of_tests_stay_under_seventy_characters():
    names = [name for path in TESTS.rglob("test_*.py") for name in names_of_tests(path.read_text(encoding="utf-8"))]
    assert len(names) > 1000
    assert [name for name in names if len(name) > LONGEST_NAME] == []


def test_module_docstrings_say_what_a_module_does():
    paths = [*SOURCE.rglob("*.py"), *TESTS.rglob("*.py")]
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
    assert [str(path) for path, text in docstrings.items() if is_riddle(text)] == []


def test_unit_tests_mirror_the_source():
    tests = sorted(UNIT.rglob("test_*.py"))
    assert len(tests) > 100
    assert [str(test.relative_to(UNIT)) for test in tests if not has_module(test, source_folder(test))] == []


@pytest.mark.parametrize(
    ("docstring", "expected"), [("Which rotation.", True), ("Whichever.", False), ("Select.", False), (None, False)]
)
def test_riddles_are_found_by_their_first_word(docstring, expected):
    assert is_riddle(docstring) == expected


@pytest.mark.parametrize(("name", "expected"), [("margin", True), ("margin_widths", True), ("marg", False)])
def test_module_of_a_test_is_found_by_its_first_words(name, expected):
    assert has_module(UNIT / "losses" / f"test_{name}.py", SOURCE / "losses") == expected
