import pytest

from mrlspk.evaluation.report.values import Numbers, format_number, model_names, name_of_key, path_key, short_names


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        (0.01234, "percent", "1.23"),
        (0.95, "share", "95"),
        (0.001, "share", "0.1"),
        (-0.0123, "points", "−1.23"),
        (0.0123, "points", "+1.23"),
        (-0.00001, "points", "0.00"),
        (0.25, "cost", "0.2500"),
        (-1e-17, "cost", "0.0000"),
        (-0.25, "cost_change", "−0.2500"),
        (-0.1, "score", "−0.1000"),
        (0.00099, "p", "< 0.001"),
        (0.0496, "p", "0.050"),
        (37720, "count", "37,720"),
        (60.0, "general", "60"),
        (None, "percent", "–"),
    ],
)
def test_number_is_shown_as_a_reader_expects(value, kind, shown):
    assert format_number(value, kind) == shown


def test_number_is_marked_with_its_path():
    numbers = Numbers({"trials": [{"eer": 0.5, "ci": [0.4, 0.6]}]})
    assert numbers.show("trials.0.eer", "percent") == (
        '<span data-path="trials.0.eer" data-format="percent">50.00</span>'
    )
    assert 'data-path="trials.0.ci.1"' in numbers.interval("trials.0.ci", "percent")


def test_absent_metric_is_a_dash_and_absent_interval_nothing():
    numbers = Numbers({"trials": [{"eer": 0.5, "eer_ci": None}]})
    assert ">–<" in numbers.show("trials.0.missing.n_utterances", "count")
    assert numbers.interval("trials.0.eer_ci", "percent") == ""


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/list.txt", "b/other.txt", r"c:\d\third.txt"], ["list.txt", "other.txt", "third.txt"]),
        (["/x/a/list.txt", "/x/b/list.txt"], ["a/list.txt", "b/list.txt"]),
        (["/a/b/c", "b/c", "c"], ["a/b/c", "b/c", "c"]),
        (["/a", "a"], ["/a", "a"]),
        (["same", "same"], ["same", "same"]),
        (["", "/"], ["", "/"]),
        ([], []),
    ],
)
def test_short_names_are_the_fewest_parts_that_differ(paths, names):
    assert short_names(paths) == names


def test_models_are_numbered_where_a_short_name_is_long():
    assert model_names(["runs/a/best.pt", "runs/b/best.pt"]) == {
        "runs/a/best.pt": "a/best.pt",
        "runs/b/best.pt": "b/best.pt",
    }
    long = "n" * 33
    assert model_names(["a.pt", long]) == {"a.pt": "model 1", long: "model 2"}


@pytest.mark.parametrize("name", ["a.pt", "a%2Eb", "../x y/李.pt", "half\udc80", "\x00"])
def test_key_of_a_path_has_no_dot_and_decodes_to_its_name(name):
    assert "." not in path_key(name)
    assert name_of_key(path_key(name)) == name
