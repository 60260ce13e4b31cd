import pytest

from mrlspk.evaluation.report.names import model_names, name_of_key, path_key, short_names


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
def test_short_names_are_as_few_last_parts_as_tell_paths_apart(paths, names):
    assert short_names(paths) == names


def test_models_are_numbered_where_a_short_name_is_long():
    assert model_names(["runs/a/best.pt", "runs/b/best.pt"]) == {
        "runs/a/best.pt": "a/best.pt",
        "runs/b/best.pt": "b/best.pt",
    }
    long = "n" * 33
    assert model_names(["a.pt", long]) == {"a.pt": "model 1", long: "model 2"}


@pytest.mark.parametrize("name", ["a.pt", "a%2Eb", "../x y/李.pt", "half\udc80", "\x00"])
def test_key_of_a_path_has_no_dot_and_stands_for_its_name(name):
    assert "." not in path_key(name)
    assert name_of_key(path_key(name)) == name
