import gzip
import json

import pytest

from mrlspk.data.audio.source import ChannelSource, FileSource, RangeSource, TarMember
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.manifest_files.formats import format_of, write_rows
from mrlspk.data.manifest_files.recipes import kind_of, read_rows, read_utterances
from mrlspk.data.manifest_files.rows import COLUMNS, ManifestRow, Place, place_of, row_of
from mrlspk.errors import DataError, UsageError

ROWS = (
    ManifestRow("a/1", "a", "s", "/audio/x.wav", 2.0, True, 8000, 1, "pcm_s16", 10, 11),
    ManifestRow("a/2", "a", "s", "/audio/x.wav", 1.5, True, 8000, 1, "pcm_s16", 10, 11, start=2.0, duration=1.5),
    ManifestRow("b/1", "b", "t", "/audio/y.flac", 3.25, True, 16000, 1, "flac", 20, 21),
)
RECORDING = {
    "id": "call",
    "sources": [{"type": "file", "channels": [0, 1], "source": "call.wav"}],
    "sampling_rate": 8000,
    "num_samples": 80_000,
    "duration": 10.0,
}

THREE_CHANNELS = RECORDING | {"sources": [{"type": "file", "channels": [0, 1, 2], "source": "call.wav"}]}


def lines(path, *records):
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def cut(cut_id, speakers, **values):
    supervisions = [{"id": f"{cut_id}-{n}", "recording_id": "call", "speaker": each} for n, each in enumerate(speakers)]
    return {
        "id": cut_id, "start": 0.0, "duration": 10.0, "channel": 0, "supervisions": supervisions,
        "recording": RECORDING, "type": "MonoCut", **values,
    }  # fmt: skip


def listed(path):
    return {each.utterance_id: (each.speaker_id, each.session_id, each.source) for each in read_utterances(path)}


@pytest.mark.parametrize(
    "source",
    [
        FileSource("/a.wav"),
        TarMember("/a.tar", "x/a.wav", 512, 100),
        RangeSource(FileSource("/a.wav"), 1.5, 2.0),
        RangeSource(TarMember("/a.tar", "a.wav", 0, 9), 0.0, 2.0),
        ChannelSource(FileSource("/a.wav"), 1),
        ChannelSource(RangeSource(TarMember("s3://b/a.tar", "a.wav", 0, 9), 1.0), 0),
    ],
)
def test_place_describes_a_source(source):
    assert place_of(source).source("/elsewhere/") == source


def test_relative_places_begin_at_the_folder_of_the_file():
    assert Place("a.wav").source("/corpus/") == FileSource("/corpus/a.wav")


@pytest.mark.parametrize("name", ["a.parquet", "a.jsonl"])
def test_rows_are_read_as_they_were_written(tmp_path, name):
    path = tmp_path / name
    write_rows(path, format_of(path), iter(ROWS))
    assert tuple(read_rows(path)) == ROWS
    assert [each.utterance_id for each in scan_corpus(path).utterances] == ["a/1", "a/2", "b/1"]
    assert kind_of(path) == name.removeprefix("a.")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"path": None}, "expected a text in 'path', got None"),
        ({"id": ""}, "expected a text in 'id', got ''"),
        ({"seconds": "2"}, "expected a number in 'seconds', got '2'"),
        ({"bytes": 1.5}, "expected a number in 'bytes', got 1.5"),
        ({"start": -1.0}, "expected a number in 'start', got -1.0"),
        ({"exact": 1}, "expected true or false in 'exact', got 1"),
        ({"session": 7}, "expected a text in 'session', got 7"),
    ],
)
def test_bad_row_names_its_line_and_column(change, expected):
    good = {name: getattr(ROWS[1], name) for name in COLUMNS}
    assert row_of({**good, "further": 1}, "f:1") == ROWS[1]
    with pytest.raises(DataError, match=expected) as caught:
        row_of({**good, **change}, "f:3")
    assert caught.value.where == "f:3"


def test_nemo_offset_duration_and_labels_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "corpus"
    folder.mkdir()
    manifest = lines(
        folder / "train.json",
        {"audio_filepath": "wav/s1/1.wav", "duration": 3.5, "label": "anna"},
        {"audio_filepath": "wav/s1/1.wav", "offset": 3.5, "duration": 2, "label": "bert"},
        {"audio_filepath": "wav/s2/2.wav", "offset": 1.25, "duration": None, "label": 7, "text": "-"},
        {"audio_filepath": str(folder / "wav/3.wav"), "speaker": "anna", "id": "third", "session": "x"},
    )
    whole = {name: FileSource(str(folder / f"wav/{name}")) for name in ("s1/1.wav", "s2/2.wav", "3.wav")}
    expected = {
        "wav/s1/1.wav": ("anna", "wav/s1", RangeSource(whole["s1/1.wav"], 0.0, 3.5)),
        "wav/s1/1.wav[3.5:5.5]": ("bert", "wav/s1", RangeSource(whole["s1/1.wav"], 3.5, 2.0)),
        "wav/s2/2.wav[1.25:]": ("7", "wav/s2", RangeSource(whole["s2/2.wav"], 1.25, None)),
        "third": ("anna", "x", whole["3.wav"]),
    }
    assert listed(manifest) == expected
    (tmp_path / "wav/s1").mkdir(parents=True)
    (tmp_path / "wav/s1/1.wav").touch()  # NeMo looks in the working directory first
    assert next(iter(read_utterances(manifest))).source.path == tmp_path / "wav/s1/1.wav"
    lines(manifest, {"audio_filepath": "a.wav", "duration": 3.5})
    with pytest.raises(DataError, match="a.wav has no speaker"):
        scan_corpus(manifest)
    lines(manifest, {"audio_filepath": "a.wav", "label": "a"}, {"audio_filepath": "a.wav", "offset": "1", "label": "a"})
    with pytest.raises(DataError, match="expected seconds in 'offset', got '1'") as caught:
        scan_corpus(manifest)
    assert caught.value.where == f"{manifest}:2"


def test_nemo_is_written_with_what_nemo_reads(tmp_path):
    path = tmp_path / "a.json"
    write_rows(path, format_of(path), iter(ROWS))
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["audio_filepath"], each.get("offset", 0), each["duration"], each["label"]) for each in written] == [
        ("/audio/x.wav", 0, 2.0, "a"),
        ("/audio/x.wav", 2.0, 1.5, "a"),
        ("/audio/y.flac", 0, 3.25, "b"),
    ]
    assert [(each[0], each[1]) for each in listed(path).values()] == [("a", "s"), ("a", "s"), ("b", "t")]
    assert [*listed(path)] == ["a/1", "a/2", "b/1"]


def test_kaldi_segments_are_written_and_read(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder, format_of(folder), iter(ROWS))
    written = {each.name: each.read_text() for each in folder.iterdir()}
    assert written == {
        "wav.scp": "x.wav /audio/x.wav\ny.flac /audio/y.flac\n",
        "utt2spk": "a/1 a\na/2 a\nb/1 b\n",
        "spk2utt": "a a/1 a/2\nb b/1\n",
        "utt2dur": "a/1 2.000000\na/2 1.500000\nb/1 3.250000\n",
        "segments": "a/1 x.wav 0.000000 2.000000\na/2 x.wav 2.000000 3.500000\nb/1 y.flac 0.000000 3.250000\n",
    }
    expected = RangeSource(FileSource("/audio/x.wav"), 2.0, 1.5)
    assert listed(folder)["a/2"] == listed(folder / "wav.scp")["a/2"] == ("a", "x.wav", expected)
    assert {each.speaker_id for each in scan_corpus(folder).utterances} == {"a", "b"}


def test_kaldi_without_segments_names_utterances(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder, "kaldi", iter([ROWS[2], ROWS[0]]))
    assert (folder / "wav.scp").read_text() == "a/1 /audio/x.wav\nb/1 /audio/y.flac\n"
    assert not (folder / "segments").exists()
    assert listed(folder)["b/1"] == ("b", "/audio", FileSource("/audio/y.flac"))


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("utt2spk", "u1 a b\n", "expected '<utterance> <speaker>'"),
        ("utt2spk", "u1 a\nu1 b\n", "expected each utterance once"),
        ("utt2spk", "u1 a\nu2 b\n", "expected u2 in segments too"),
        ("segments", "u1 r1 3 2\n", "expected '<utterance> <recording> <start> <end>' in seconds"),
        ("utt2spk", "u2 b\n", "expected u1 of segments too"),
        ("segments", "u1 r1 -3 -1\n", "expected '<utterance> <recording> <start> <end>' in seconds"),
        ("segments", "u1 r1 0 2\nu1 r1 1 2\n", "expected each utterance once"),
        ("segments", "u1 r2 0 2\n", "expected a recording of wav.scp"),
        ("segments", "u1 r1 0 2 1\n", "expected recordings of one channel"),
        ("wav.scp", "r1 sph2pipe a.sph |\n", "not a command"),
    ],
)
def test_faults_in_kaldi_files_are_told(tmp_path, file, content, expected):
    good = {"wav.scp": "r1 a.wav\n", "utt2spk": "u1 a\n", "segments": "u1 r1 0.5 -1\n"}
    for name, text in good.items():
        (tmp_path / name).write_text(text)
    source = listed(tmp_path)["u1"][2]
    assert (source.start_seconds, source.seconds) == (0.5, None)
    (tmp_path / file).write_text(content)
    with pytest.raises(DataError, match=expected):
        scan_corpus(tmp_path)


def test_lhotse_cuts_are_read_with_range_and_channel(tmp_path):
    path = lines(
        tmp_path / "cuts.jsonl.gz",
        cut("one", ["anna"]),
        cut("two", ["bert", "bert"], start=2.0, duration=3.0, channel=1),
        cut("three", ["anna", "bert"]),
        cut("four", [], type="MultiCut", channel=[0, 1]),
        cut("five", ["carl"], type="MultiCut", channel=[0, 1]),
    )
    file = FileSource(str(tmp_path / "call.wav"))
    assert listed(path) == {
        "one": ("anna", "call", ChannelSource(file, 0)),
        "two": ("bert", "call", ChannelSource(RangeSource(file, 2.0, 3.0), 1)),
        "five": ("carl", "call", file),
    }
    assert [each.path for each in scan_corpus(path).left_out] == ["three", "four"]


def test_lhotse_recordings_need_their_supervisions(tmp_path):
    path = lines(tmp_path / "x_recordings_dev.jsonl", RECORDING | {"id": "call"})
    with pytest.raises(DataError, match="recordings alone do not say who speaks") as caught:
        scan_corpus(path)
    assert "x_supervisions_dev.jsonl" in caught.value.fix
    lines(
        tmp_path / "x_supervisions_dev.jsonl",
        {"id": "s1", "recording_id": "call", "start": 1.0, "duration": 2.5, "channel": 1, "speaker": "anna"},
        {"id": "s2", "recording_id": "other", "start": 1.0, "duration": 2.5, "channel": 0, "speaker": "bert"},
    )
    part = RangeSource(FileSource(str(tmp_path / "call.wav")), 1.0, 2.5)
    assert listed(path) == {"s1": ("anna", "call", ChannelSource(part, 1))}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"id": "x", "type": "MixedCut", "tracks": []}, "expected MonoCut or MultiCut, got MixedCut"),
        (cut("x", ["a"], recording=None), "expected a cut with its recording"),
        (cut("x", ["a"], recording=RECORDING | {"transforms": [{"name": "Speed"}]}), "one with transforms"),
        (cut("x", ["a"], recording=RECORDING | {"sources": [{"type": "command"}]}), "type 'file', got command"),
        (cut("x", ["a"], channel=[0, 2], recording=THREE_CHANNELS), r"expected one channel or all of \[0, 1, 2\]"),
        (cut("x", ["a"], channel=2), r"expected channels of \[0, 1\], got \[2\]"),
        (cut("x", ["a"], start=None, duration=-2), "expected seconds in 'duration', got -2"),
    ],
)
def test_lhotse_manifests_that_are_no_files_are_refused(tmp_path, record, expected):
    path = lines(tmp_path / "cuts.jsonl", cut("good", ["a"]), record)
    with pytest.raises(DataError, match=expected) as caught:
        scan_corpus(path)
    assert caught.value.where == f"{path}:2"


def test_other_files_are_no_manifests(tmp_path):
    trials = lines(tmp_path / "trials.jsonl", {"enroll": "a", "test": "b"})
    (tmp_path / "text.jsonl").write_text("no JSON\n")
    (tmp_path / "no.parquet").write_bytes(b"PAR2")
    for path in (trials, tmp_path / "text.jsonl", tmp_path / "no.parquet", tmp_path, tmp_path / "absent.jsonl"):
        assert kind_of(path) is None


def test_channels_and_members_have_no_entry_in_other_toolkits(tmp_path):
    channel = ManifestRow("a", "a", "s", "/x.wav", 1.0, channel=1)
    for form in ("nemo", "kaldi"):
        with pytest.raises(UsageError, match="one channel of a file"):
            write_rows(tmp_path / "out", form, iter([channel]))
    with pytest.raises(UsageError, match="white space in '/a b.wav'"):
        write_rows(tmp_path / "out", "kaldi", iter([ManifestRow("a", "a", "s", "/a b.wav", 1.0)]))
    with pytest.raises(UsageError, match=r"expected .parquet, .jsonl, .json"):
        format_of(tmp_path / "a.csv")
