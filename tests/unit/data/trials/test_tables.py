import pytest

from mrlspk.data.trials import BadLinesError, read_trials
from mrlspk.errors import DataError


def read(tmp_path, text, name="trials.csv"):
    (tmp_path / name).write_text(text, newline="")
    return read_trials(tmp_path / name)


def rows(trials):
    return list(zip(trials.enroll_ids, trials.test_ids, trials.is_target.tolist(), strict=True))


@pytest.mark.parametrize(
    "header",
    ["enroll,test,target", "Enroll ID,Test-ID,Is Target", "modelid,segmentid,targettype", "utt1,utt2,label"],
)
@pytest.mark.parametrize(
    ("yes", "no"),
    [("1", "0"), ("true", "false"), ("True", "False"), ("target", "nontarget"), ("target", "imposter"), ("1.0", "0.0")],
)
def test_reads_csv_whatever_the_names_and_the_labels(tmp_path, header, yes, no):
    trials = read(tmp_path, f"{header}\r\na/1.wav,a/2.wav,{yes}\r\n\r\na/1.wav,b/1.wav,{no}\r\n,,\r\n")
    assert rows(trials) == [("a/1.wav", "a/2.wav", True), ("a/1.wav", "b/1.wav", False)]
    assert trials.columns == {}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("divider", [",", ";", "\t"])
def test_quoted_cells_blanks_and_further_columns(tmp_path, mark, divider):
    cells = [
        ("label", "test", "enroll", "Noise Kind"),
        ("1", '"a/two words.wav"', '" a/1.wav"', '"street, loud"'),
        ("0", " b/1.wav ", "a/1.wav", ""),
    ]
    trials = read(tmp_path, mark + "\n".join(map(divider.join, cells)), "trials.txt")
    assert rows(trials) == [("a/1.wav", "a/two words.wav", True), ("a/1.wav", "b/1.wav", False)]
    assert trials.columns == {"noise_kind": ("street, loud", "")}


def test_reads_the_key_of_an_nist_evaluation(tmp_path):
    text = (
        "modelid\tsegmentid\tside\ttargettype\tgender\tsource_type\n"
        "1001_sre\tseg_aaa.sph\ta\ttarget\tfemale\tcts\n"
        "1001_sre\tseg_aab.sph\ta\tnontarget\tfemale\tafv\n"
    )
    trials = read(tmp_path, text, "key.tsv")
    assert rows(trials) == [("1001_sre", "seg_aaa.sph", True), ("1001_sre", "seg_aab.sph", False)]
    assert trials.columns == {"side": ("a", "a"), "gender": ("female", "female"), "source_type": ("cts", "afv")}


def test_of_two_columns_that_could_be_meant_one_is_a_further_one(tmp_path):
    trials = read(tmp_path, "model,enroll,test,target\nx,a,b,1\ny,a,c,0\n")
    assert (trials.enroll_ids, trials.columns) == (("a", "a"), {"model": ("x", "y")})


def test_speakers_are_those_that_the_table_names(tmp_path):
    trials = read(tmp_path, "enroll,test,target,enroll_speaker,test_speaker\na,b,1,S1,S1\na,c,0,S1,\n")
    assert trials.speaker_by_id == {"a": "S1", "b": "S1"}
    assert trials.columns == {}


def test_an_utterance_of_two_speakers_is_refused(tmp_path):
    with pytest.raises(DataError, match="a has two speakers, S1 and S2"):
        read(tmp_path, "enroll,test,target,spk1,spk2\na,b,1,S1,S1\na,c,0,S2,S3\n")


@pytest.mark.parametrize(
    ("header", "fix"),
    [
        ("modelid,segmentid,side", "Name a column for the label is_target, target"),
        ("one,two,three", "Name a column for the enrolment enroll"),
        ("enroll,other,target", "name a column for the test test"),
    ],
)
def test_a_table_without_a_needed_column_says_which(tmp_path, header, fix):
    with pytest.raises(DataError, match="expected columns for enrolment, test and label, got") as caught:
        read(tmp_path, f"{header}\nx,y,z\n")
    assert fix.lower() in str(caught.value).lower()
    assert caught.value.where == f"{tmp_path}/trials.csv:1"


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="two columns are named target"):
        read(tmp_path, "enroll,test,target,target\na,b,1,1\n")


def test_every_bad_row_is_found(tmp_path):
    text = "enroll,test,target\na,b,1\na,b\n,b,0\na, ,0\na,c,maybe\na,c,0\na,c,\n"
    with pytest.raises(BadLinesError) as caught:
        read(tmp_path, text)
    assert [(line.where.rpartition(":")[2], line.what) for line in caught.value.lines] == [
        ("3", "expected 3 cells, as in the first line, got 2"),
        ("4", "expected the enrolment utterance, got an empty cell"),
        ("5", "expected the test utterance, got an empty cell"),
        ("6", "expected target or nontarget, got 'maybe'"),
        ("8", "expected target or nontarget, got ''"),
    ]


def test_a_header_alone_is_an_empty_list(tmp_path):
    with pytest.raises(DataError, match="empty file"):
        read(tmp_path, "enroll,test,target\n")


def test_a_table_of_empty_cells_is_refused(tmp_path):
    with pytest.raises(DataError, match="got empty cells"):
        read(tmp_path, ",,\n,,\n")


def test_a_cell_that_cannot_be_read_is_named_by_its_line(tmp_path):
    with pytest.raises(DataError, match="expected a table, got an unreadable line") as caught:
        read(tmp_path, 'enroll,test,target\na,b,1\na,"' + "x" * 200_000 + '",0\n')
    assert str(caught.value.where).startswith(f"{tmp_path}/trials.csv:")
