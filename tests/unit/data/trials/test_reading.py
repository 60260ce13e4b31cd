import hashlib
import re

import pytest

from mrlspk.data.trials import BadLinesError, read_trials, write_trials
from mrlspk.errors import DataError


def read(tmp_path, content, name="trials.txt"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_trials(tmp_path / name)


def rows(trials):
    return list(zip(trials.enroll_ids, trials.test_ids, trials.is_target.tolist(), strict=True))


THREE = [("a/1.wav", "a/2.wav", True), ("a/1.wav", "b/1.wav", False), ("b/1.wav", "b/2.wav", True)]


def test_reads_voxceleb_lists(tmp_path):
    content = b"1 a/1.wav a/2.wav\n\n0 a/1.wav  b/1.wav \r\n0 a/1.wav b/1.wav"
    (tmp_path / "trials.txt").write_bytes(content)
    trials = read_trials(tmp_path / "trials.txt")
    assert trials.enroll_ids == ("a/1.wav",) * 3
    assert trials.test_ids == ("a/2.wav", "b/1.wav", "b/1.wav")
    assert trials.is_target.tolist() == [True, False, False]
    assert (trials.n_target, trials.n_nontarget, len(trials)) == (1, 2, 3)
    assert trials.utterance_ids == ("a/1.wav", "a/2.wav", "b/1.wav")
    assert trials.path == str(tmp_path / "trials.txt")
    assert trials.sha256 == hashlib.sha256(content).hexdigest()


def test_reads_the_shared_lists(shared):
    trials = read_trials(shared / "speech/trials-english.txt")
    assert (trials.n_target, trials.n_nontarget) == (225, 1000)


def test_a_mark_of_byte_order_is_no_part_of_the_first_line(tmp_path):
    content = b"\xef\xbb\xbf1 a/1.wav a/2.wav\n"
    (tmp_path / "trials.txt").write_bytes(content)
    trials = read_trials(tmp_path / "trials.txt")
    assert (trials.enroll_ids, trials.is_target.tolist()) == (("a/1.wav",), [True])
    assert trials.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("line", ["yes a c", "1 a", "1 a b c", "2 a b"])
def test_bad_line_is_named_by_number_with_what_was_expected(tmp_path, line):
    path = tmp_path / "trials.txt"
    path.write_text("1 a b\n" * 16 + line + "\n")
    with pytest.raises(DataError) as caught:
        read_trials(path)
    assert str(caught.value).startswith(f"{path}:17: expected '<0|1> <enroll> <test>', got '{line}'\n")


@pytest.mark.parametrize("content", [None, b"", b"\n\n", b"\xff\xfe\x00\x01"])
def test_list_that_cannot_be_read_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / "trials.txt").write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "trials.txt"))):
        read_trials(tmp_path / "trials.txt")


def test_every_bad_line_is_found_and_the_first_ten_are_shown(tmp_path):
    content = "1 a b\n" + "".join(f"bad line number {n}\n" for n in range(12)) + "0 a c\n"
    with pytest.raises(BadLinesError) as caught:
        read(tmp_path, content)
    assert len(caught.value.lines) == 12
    first, *shown, fix = str(caught.value).splitlines()
    path = tmp_path / "trials.txt"
    assert first == f"{path}: 12 of 14 lines have errors"
    assert shown[0] == f"{path}:2: expected '<0|1> <enroll> <test>', got 'bad line number 0'"
    assert shown[9:] == [f"{path}:11: expected '<0|1> <enroll> <test>', got 'bad line number 9'", "… and 2 more"]
    assert fix.startswith("Write 1 for one speaker")


@pytest.mark.parametrize("words", [("target", "nontarget"), ("TARGET", "imposter"), ("target", "impostor"), ("1", "0")])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \t\n"])
def test_reads_kaldi_lists_with_words_or_digits(tmp_path, words, end):
    lines = [f"{a} {b} {words[not target]}" for a, b, target in THREE]
    assert rows(read(tmp_path, end.join(lines))) == THREE


@pytest.mark.parametrize("divider", [" ", "\t", ",", ";", ", "])
@pytest.mark.parametrize("label", [0, 2])
@pytest.mark.parametrize("name", ["trials.txt", "trials.csv", "trials.tsv"])
def test_the_fields_of_a_list_without_header_may_be_divided_in_any_way(tmp_path, divider, label, name):
    fields = [[a, b] for a, b, _ in THREE]
    for each, (_, _, target) in zip(fields, THREE, strict=True):
        each.insert(label, str(int(target)))
    assert rows(read(tmp_path, "".join(divider.join(each) + "\n" for each in fields), name)) == THREE


def test_a_comma_within_a_name_divides_nothing_where_blanks_do(tmp_path):
    assert rows(read(tmp_path, "1 a,1.wav b\n0 c,1.wav d\n")) == [("a,1.wav", "b", True), ("c,1.wav", "d", False)]


def test_bad_line_of_a_kaldi_list_names_the_kaldi_format(tmp_path):
    with pytest.raises(DataError, match=r"trials.txt:3: expected '<enroll> <test> <target\|nontarget>', got '1 a b'"):
        read(tmp_path, "a b target\na c nontarget\n1 a b\n")


def test_lines_that_can_be_read_two_ways_are_refused(tmp_path):
    with pytest.raises(DataError, match="the list is ambiguous: lines have digits both first and last"):
        read(tmp_path, "1 a 1\n0 b 0\n")


def test_digits_first_and_words_last_are_kaldis(tmp_path):
    assert rows(read(tmp_path, "1 a target\n0 b nontarget\n")) == [("1", "a", True), ("0", "b", False)]


def test_repeated_trials_are_kept_and_counted(tmp_path):
    trials = read(tmp_path, "1 a b\n0 a c\n1 a b\n1 a b\n1 b a\n")
    assert (len(trials), trials.n_repeated) == (5, 2)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("1 a b\n0 a c\n0 a b\n", "1 pairs .*: a b \\(lines 1 and 3\\)$"),
        ("1 a b\n\n1 a b\n0 b a\n", "1 pairs .*: a b \\(lines 1 and 4\\)$"),
        ("0 b a\n1 c d\n1 a b\n0 d c\n", "2 pairs .*: b a \\(lines 1 and 3\\), c d \\(lines 2 and 4\\)$"),
        ("a b target\nb a nontarget\n", "a b \\(lines 1 and 2\\)"),
        ("1,a,b\n0,b,a\n", "a b \\(lines 1 and 2\\)"),
        ('enroll,test,note,target\na,b,"two\nlines",1\n\nb,a,,0\n', "a b \\(lines 3 and 5\\)"),
        (
            '{"enroll": "a", "test": "b", "target": 1}\n\n{"enroll": "b", "test": "a", "target": 0}\n',
            "a b \\(lines 1 and 3\\)",
        ),
    ],
)
def test_pair_with_both_labels_is_refused_with_its_lines(tmp_path, content, shown):
    with pytest.raises(DataError, match="are target in one line and non-target in another") as caught:
        read(tmp_path, content)
    assert re.search(shown, caught.value.what, re.DOTALL)
    assert caught.value.where == tmp_path / "trials.txt"


def test_first_ten_contradictions_are_shown_in_the_order_of_the_list(tmp_path):
    pairs = [f"{number:02} x" for number in range(12)]
    with pytest.raises(DataError) as caught:
        read(tmp_path, "".join([*(f"1 {pair}\n" for pair in pairs), *(f"0 {pair}\n" for pair in pairs)]))
    expected = ", ".join(f"{pair} (lines {line} and {line + 12})" for line, pair in enumerate(pairs[:10], start=1))
    assert caught.value.what.endswith(f"another: {expected} and 2 more")


def test_same_name_of_a_model_and_an_utterance_is_no_contradiction(tmp_path):
    (tmp_path / "models.txt").write_text("a x y\n")
    (tmp_path / "trials.txt").write_text("1 a b\n0 b a\n")
    trials = read_trials(tmp_path / "trials.txt", tmp_path / "models.txt")
    assert rows(trials) == [("a", "b", True), ("b", "a", False)]


def test_text_of_another_encoding_names_the_fix(tmp_path):
    with pytest.raises(DataError, match="Save it as UTF-8"):
        read(tmp_path, "1 a b\n".encode("utf-16"))


def test_a_list_of_one_kind_of_trial_is_read(tmp_path):
    assert (read(tmp_path, "1 a b\n").n_target, read(tmp_path, "0 a b\n").n_nontarget) == (1, 1)


def test_trials_kept_by_a_mask_keep_their_columns_and_hash(tmp_path):
    trials = read(tmp_path, "enroll,test,target,noise\na,b,1,low\na,c,0,high\na,d,0,low\n", "trials.csv")
    kept = trials.only(~trials.is_target)
    assert rows(kept) == [("a", "c", False), ("a", "d", False)]
    assert kept.columns == {"noise": ("high", "low")}
    assert (kept.sha256, kept.utterance_ids) == (trials.sha256, ("a", "c", "d"))


TRIALS = "m1 t1.wav target\nm1 t2.wav nontarget\nm2 t1.wav nontarget\nlone.wav t1.wav nontarget\n"
MODELS = {"m1": ("a.wav", "b.wav"), "m2": ("c.wav",)}


def read_with_models(tmp_path, models, name="models"):
    (tmp_path / "trials").write_text(TRIALS)
    (tmp_path / name).write_text(models)
    return read_trials(tmp_path / "trials", tmp_path / name)


@pytest.mark.parametrize(
    "models",
    [
        "m1 a.wav b.wav\nm2 c.wav\n",
        "m1\ta.wav  b.wav\r\n\r\nm2\tc.wav\r\n",
        "m1 a.wav\nm2 c.wav\nm1 b.wav\n",
        "m1,a.wav,b.wav\nm2,c.wav\n",
        "modelid\tsegmentid\tside\nm1\ta.wav\ta\nm1\tb.wav\ta\nm2\tc.wav\ta\n",
        "model,utterances\nm1,a.wav b.wav\nm2,c.wav\n",
        '{"model": "m1", "utterances": ["a.wav", "b.wav"]}\n{"model": "m2", "utterance": "c.wav"}\n',
        "m1 a.wav b.wav\nm2 c.wav\nm3 of-another-list.wav\n",
    ],
    ids=["spk2utt", "tabs", "a pair a line", "commas", "table", "table of lists", "json", "more models"],
)
def test_models_are_read_in_every_form(tmp_path, models):
    trials = read_with_models(tmp_path, models)
    assert trials.enrolments == MODELS
    assert trials.utterance_ids == ("a.wav", "b.wav", "c.wav", "lone.wav", "t1.wav", "t2.wav")
    assert len(trials.enrolments_sha256) == 64


def test_without_models_an_enrolment_is_an_utterance(tmp_path):
    (tmp_path / "trials").write_text(TRIALS)
    trials = read_trials(tmp_path / "trials")
    assert trials.enroll_utterances("m1") == ("m1",)
    assert trials.enrolments_sha256 is None


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("", "empty file"),
        ("m1\nm2 c.wav\n", r"models:1: expected '<model> <utterance> …', got 'm1'"),
        ("m1 a.wav a.wav\n", "models:1: expected each utterance of m1 once"),
        ("m1 a.wav\nm1 a.wav\n", "models:2: expected each utterance of m1 once"),
        ('{"model": "m1"}\n', "models:1: expected"),
        ("other a.wav\n", r"none of its 1 models is enrolled in .*trials: lone.wav in the list, other in the models"),
    ],
)
def test_models_that_cannot_be_used_are_refused(tmp_path, models, message):
    with pytest.raises(DataError, match=message):
        read_with_models(tmp_path, models)


def test_a_list_with_models_is_not_written_without_them(tmp_path):
    with pytest.raises(DataError, match="cannot hold enrolment models"):
        write_trials(read_with_models(tmp_path, "m1 a.wav b.wav\n"), tmp_path / "written.txt")
