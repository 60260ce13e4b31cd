"""Tables at several widths: what does not fit moves, and nothing is broken or lost."""

import pytest
from rich.cells import cell_len

from mrlspk.cli.tables import FittedTable, flowing_row, wrap

PATH = "/data/corpora/a folder with a long name/speaker-0001/session-02/00003-and-more.wav"
RATES = FittedTable(None, ("width", "EER %", "minDCF(0.01)"), (("64", "2.10", "0.1234"), ("128", "10.00", "–")))


def shown(table, width):
    return [text for text, _ in table.lines(width)]


def test_table_that_fits_aligns_names_left_and_numbers_right():
    assert shown(RATES, 80) == [
        "width  EER %  minDCF(0.01)",
        "64      2.10        0.1234",
        "128    10.00             –",
    ]


def test_sentence_that_begins_with_a_number_is_aligned_left():
    rows = ("a.wav", "0.8 of 4.6 s cannot be decoded"), ("b.wav", "no such file")
    assert shown(FittedTable(None, ("where", "message"), rows), 80)[2] == "b.wav  no such file"


def test_columns_that_do_not_fit_follow_in_blocks_with_names():
    assert shown(RATES, 20) == [
        "width  EER %",
        "64      2.10",
        "128    10.00",
        "",
        "width  minDCF(0.01)",
        "64           0.1234",
        "128               –",
    ]


def test_sentences_wrap_at_spaces_and_names_do_not():
    table = FittedTable(None, ("key", "value", "why"), (("a b c", "1", "the quick brown fox jumps over the dog"),))
    assert shown(table, 40) == [
        "key    value  why",
        "a b c      1  the quick brown fox jumps",
        "              over the dog",
    ]


def test_long_name_stands_alone_above_its_cells():
    table = FittedTable(None, ("file", "seconds", "warnings"), ((PATH, "2.00", "clipped"), ("b.wav", "13.50", "")))
    assert shown(table, 40) == [
        "file",
        "  seconds  warnings",
        PATH,
        "     2.00  clipped",
        "b.wav",
        "    13.50",
    ]


def test_row_with_a_long_word_becomes_a_list():
    table = FittedTable(None, ("where", "kind", "message"), (("a.wav", "unreadable", f"no {'x' * 60} at all"),))
    assert shown(table, 40) == [
        "a.wav",
        "  kind     unreadable",
        "  message  no",
        f"           {'x' * 60}",
        "           at all",
    ]


@pytest.mark.parametrize("width", [33, 47, 60, 80, 100_000])
def test_no_word_is_lost_or_broken_at_any_width(width):
    rows = tuple((f"{PATH}{i}", "说话人" * i, str(i), "a remark of some words", "0.1234") for i in range(1, 4))
    table = FittedTable(None, ("file", "speaker", "n", "remark", "EER %"), rows)
    lines = shown(table, width)
    said = " ".join(" ".join(lines).split())
    assert [cell for row in rows for cell in row[:3] if cell not in said] == []
    assert all(cell_len(line) <= width or PATH in line for line in lines)


def test_headers_that_wrap_end_on_the_same_line():
    table = FittedTable(None, ("n", "trained against rotation"), (("1", "same"),))
    assert shown(table, 20) == ["   trained against", "n  rotation", "1  same"]


def test_empty_table_keeps_its_headers():
    assert shown(FittedTable(None, ("a", "b"), ()), 80) == ["a  b"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("one two three", ["one two", "three"]),
        ("a `b c d e f` g", ["a", "`b c d e f`", "g"]),
        ("To evaluate: mrlspk eval a b", ["To evaluate: mrlspk eval a b"]),
        ("k  one two x", ["k  one two", "   x"]),
        ("k  /a b/c d", ["k", "  /a b/c d"]),
        ("key  sixletters", ["key", "  sixletters"]),
        ("  a b c d e", ["  a b c d", "  e"]),
        ("short\n\nlines", ["short", "", "lines"]),
    ],
)
def test_text_wraps_at_spaces_but_commands_stay_whole(text, lines):
    assert wrap(text, 10) == lines


def test_row_of_a_growing_table_is_divided_between_cells():
    cells, widths = ("epoch 1/9", "2.10", "1.80", "best"), (9, 6, 6)
    assert list(flowing_row(cells, widths, 40)) == ["epoch 1/9    2.10    1.80  best"]
    assert list(flowing_row(cells, widths, 20)) == ["epoch 1/9    2.10", "      1.80  best"]
