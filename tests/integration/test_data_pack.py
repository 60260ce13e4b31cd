"""``mrlspk data pack``: what it writes, and how it goes on after a kill."""

import json
import os
import tarfile

import pytest
import webdataset

from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.shards import reading
from mrlspk.errors import DataError
from mrlspk.workflows import pack_shards

SIZE = "100kB"  # the tiny corpus has 16 files of 16 kB: four shards


@pytest.fixture
def pack(run, tmp_path, tiny_corpus):
    """Pack the tiny corpus into a folder, in this process."""

    def command(*arguments, folder="shards", corpus=None):
        where = "-o", tmp_path / folder
        return run("data", "pack", corpus or tiny_corpus.root, *where, "--shard-size", SIZE, "--jobs", 1, *arguments)

    return command


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != ".packing"}


def test_packed_shards_hold_every_file_unchanged_with_its_description(pack, tmp_path, tiny_corpus):
    outcome = pack("--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert {key: outcome.json[key] for key in ("command", "shards", "utterances", "errors", "resumed")} == {
        "command": "data pack", "shards": 4, "utterances": 16, "errors": [], "resumed": 0,
    }  # fmt: skip
    tars = sorted((tmp_path / "shards").glob("*.tar"))
    assert [path.name for path in tars] == [f"shard-{number:06}.tar" for number in range(4)]
    assert all(path.stat().st_size <= 100_000 for path in tars)
    assert outcome.json["bytes"] == sum(path.stat().st_size for path in tars)
    found = {}
    for path in tars:
        with tarfile.open(path) as tar:
            entries = {entry.name: entry for entry in tar}
            for name in (each for each in entries if each.endswith(".wav")):
                assert (entries[name].mtime, entries[name].uid, entries[name].uname) == (0, 0, "")
                facts = json.load(tar.extractfile(name.replace(".wav", ".json")))
                found[facts["id"]] = facts, tar.extractfile(name).read()
    assert sorted(found) == tiny_corpus.utterance_ids
    for utterance_id, (facts, audio) in found.items():
        speaker, session, _ = utterance_id.split("/")
        assert facts == {"id": utterance_id, "speaker": speaker, "session": f"{speaker}/{session}"}
        assert audio == (tiny_corpus.root / utterance_id).read_bytes()
    assert {path.name for path in (tmp_path / "shards").iterdir()} == {each.name for each in tars} | {"index.parquet"}


def test_same_corpus_gives_same_bytes_in_any_number_of_processes(pack, tmp_path):
    pack()
    assert pack("--jobs", 2, folder="others").exit_code == 0
    assert contents(tmp_path / "others") == contents(tmp_path / "shards")
    assert pack("--seed", 1, folder="reordered").exit_code == 0
    assert contents(tmp_path / "reordered") != contents(tmp_path / "shards")


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # the library leaves the tars to the interpreter
def test_webdataset_reads_the_shards(pack, tmp_path, tiny_corpus):
    wav = (tiny_corpus.root / "speaker0/a/1.wav").read_bytes()
    long_name = f"v1.2-é-{'x' * 120}"  # does not fit into the header of a tar
    for name in (f"{long_name}.wav", "1.flac"):  # the second would share the key of 1.wav
        (tiny_corpus.root / "speaker0" / "a" / name).write_bytes(wav)
    pack()
    shards = list(map(str, sorted((tmp_path / "shards").glob("*.tar"))))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))
    found = {json.loads(each["json"])["id"]: each for each in samples}
    assert len(samples) == len({each["__key__"] for each in samples}) == 18
    for utterance_id, sample in found.items():
        assert sample[utterance_id.rpartition(".")[2]] == (tiny_corpus.root / utterance_id).read_bytes()
    key = f"speaker0/a/{long_name.replace('.', '_')}"
    assert found[f"speaker0/a/{long_name}.wav"]["__key__"] == key


@pytest.mark.process
def test_killed_pack_goes_on_and_ends_in_the_same_bytes(pack, tmp_path, tiny_corpus, runs):
    pack(folder="undisturbed")
    command = "data", "pack", str(tiny_corpus.root), "-o", "shards", "--shard-size", SIZE, "--jobs", "1"
    for n_done in (1, 2):
        killed = runs.starter.fork("mrlspk", *command, cwd=tmp_path, fault="killed_in_second_shard")
        assert killed.exit_code() == -9
        left = contents(tmp_path / "shards")
        assert [name for name in left if name.endswith(".tar")] == [f"shard-{n:06}.tar" for n in range(n_done)]
        with pytest.raises(DataError, match="the shards are not complete"):
            scan_corpus(tmp_path / "shards")
    outcome = pack("--json")
    assert (outcome.exit_code, outcome.json["resumed"], outcome.json["utterances"]) == (0, 2, 16)
    assert contents(tmp_path / "shards") == contents(tmp_path / "undisturbed")


def test_pack_removes_only_its_own_partial_files(pack, tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    for name in ("speech.zip", "other-000001.tar", "shard-000009.tar", "index.parquet"):
        (folder / f"{name}.partial").touch()
    assert pack().exit_code == 0
    assert sorted(path.name for path in folder.glob("*.partial")) == ["other-000001.tar.partial", "speech.zip.partial"]


def test_unreadable_file_is_left_out_and_listed(pack, tmp_path, tiny_corpus):
    (tiny_corpus.root / "speaker1" / "a" / "1.wav").write_bytes(b"this is text")
    outcome = pack("--json")
    assert outcome.exit_code == 3
    assert outcome.json["utterances"] == 15
    assert [each["id"] for each in outcome.json["errors"]] == ["speaker1/a/1.wav"]
    assert "1 of 16 utterances could not be read and are not in the shards" in outcome.stderr
    assert len(scan_corpus(tmp_path / "shards").utterances) == 15


def test_link_to_no_file_is_left_out_and_listed(pack, tmp_path, tiny_corpus):
    (tiny_corpus.root / "speaker1" / "a" / "9.wav").symlink_to("nowhere.wav")
    outcome = pack("--json")
    assert (outcome.exit_code, outcome.json["utterances"]) == (3, 16)
    assert [each["id"] for each in outcome.json["errors"]] == ["speaker1/a/9.wav"]
    assert len(scan_corpus(tmp_path / "shards").utterances) == 16


def test_corpus_without_a_readable_file_gives_no_index(pack, tmp_path, tiny_corpus):
    for utterance_id in tiny_corpus.utterance_ids:
        (tiny_corpus.root / utterance_id).write_bytes(b"this is text")
    outcome = pack()
    assert outcome.exit_code == 3
    assert "no recording can be read; the first: " in outcome.stderr
    assert not list((tmp_path / "shards").glob("index.*"))


def test_message_shows_twenty_errors_and_counts_the_rest(pack, tiny_corpus):
    for number in range(25):
        (tiny_corpus.root / "speaker1" / "a" / f"x{number}.wav").write_bytes(b"this is text")
    outcome = pack("--json")
    assert len(outcome.json["errors"]) == 25
    assert outcome.stderr.count("speaker1/a/x") == 20
    assert "… and 5 more" in outcome.stderr


def test_stopped_pack_of_a_tar_that_changed_is_not_taken_up(pack, tmp_path, monkeypatch):
    pack(folder="tars")
    monkeypatch.setattr(pack_shards.ShardFolder, "write_index", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pack(corpus=tmp_path / "tars")
    (tar, *_) = sorted((tmp_path / "tars").glob("*.tar"))
    os.utime(tar, ns=(0, 0))
    outcome = pack(corpus=tmp_path / "tars")
    assert (outcome.exit_code, "shards of another corpus" in outcome.stderr) == (1, True)


def test_listed_utterances_are_left_out(pack, tmp_path):
    (tmp_path / "bad.tsv").write_text("speaker1/a/1.wav\tclipped\n")
    assert pack("--exclude", tmp_path / "bad.tsv", "--json").json["utterances"] == 15
    assert "speaker1/a/1.wav" not in scan_corpus(tmp_path / "shards").utterance_ids


def test_nothing_is_overwritten_without_force(pack, tmp_path, tiny_corpus):
    pack()
    before = contents(tmp_path / "shards")
    outcome = pack()
    assert outcome.exit_code == 1
    assert "index.parquet: exists" in outcome.stderr
    assert contents(tmp_path / "shards") == before
    assert len(scan_corpus(tmp_path / "shards").utterances) == 16  # what was refused harms nothing
    (tmp_path / "shards" / "mine.tar").write_bytes(b"mine")
    (tiny_corpus.root / "speaker0" / "a" / "1.wav").unlink()
    assert pack("--force", "--shard-size", "1GiB", "--json").json["shards"] == 1
    assert sorted(contents(tmp_path / "shards")) == ["index.parquet", "mine.tar", "shard-000000.tar"]
    assert len(scan_corpus(tmp_path / "shards").utterances) == 15


def test_shards_are_not_packed_into_their_own_folder(pack, tmp_path):
    pack()
    before = contents(tmp_path / "shards")
    outcome = pack("--force", corpus=tmp_path / "shards")
    assert outcome.exit_code == 2
    assert "holds the tars of the corpus" in outcome.stderr
    assert contents(tmp_path / "shards") == before


def test_tar_of_another_pack_is_not_read_by_the_index(pack, run, tmp_path):
    pack()
    assert pack("--seed", 1, folder="others").exit_code == 0
    swapped = tmp_path / "shards" / "shard-000002.tar"
    swapped.write_bytes((tmp_path / "others" / swapped.name).read_bytes())
    outcome = run("data", "check", tmp_path / "shards", "--json")
    assert outcome.exit_code == 3
    found = [each["message"] for each in outcome.json["problems"] if each["kind"] == "unreadable"]
    assert len(found) > 3
    assert all("as the index says, got another member" in each for each in found)


def test_stopped_pack_of_another_corpus_is_not_taken_up(pack, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(pack_shards, "write_shards", stop)
        assert pack("--seed", 1).exit_code == 130
    outcome = pack()
    assert outcome.exit_code == 1
    assert "has shards of another corpus, or of other settings, whose packing was stopped" in outcome.stderr
    assert pack("--force", "--json").json["utterances"] == 16


def test_url_to_pack_to_is_a_usage_error(pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = pack("-o", "s3://bucket/shards")
    assert outcome.exit_code == 2
    assert "s3://bucket/shards: shards are written to a folder of this machine" in outcome.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "trials.txt"]


def test_index_is_json_lines_without_pyarrow(pack, tmp_path, tiny_corpus, monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda _: None)
    outcome = pack("--json")
    assert outcome.json["index"] == str(tmp_path / "shards" / "index.jsonl")
    manifest, files = scan_corpus(tmp_path / "shards"), scan_corpus(tiny_corpus.root)
    assert manifest.fingerprint == files.fingerprint
    with manifest.utterances[3].source.open() as packed:
        assert packed.read() == files.utterances[3].source.path.read_bytes()
    row = json.loads((tmp_path / "shards" / "index.jsonl").read_text().splitlines()[0])
    stated = {"seconds": 0.5, "exact": True, "sample_rate": 16_000, "channels": 1, "codec": "pcm_s16", "bytes": 16_044}
    assert stated.items() <= row.items()


@pytest.mark.parametrize("size", ["0", "1 parsec", "-5", ""])
def test_impossible_size_is_a_usage_error(run, tiny_corpus, tmp_path, size):
    outcome = run("data", "pack", tiny_corpus.root, "-o", tmp_path / "shards", f"--shard-size={size}")
    assert outcome.exit_code == 2
    assert "--shard-size: expected a size" in outcome.stderr
    assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("name", ["a/b", "../a", "", ".a", "a b"])
def test_name_that_begins_no_file_name_is_a_usage_error(pack, tmp_path, name):
    outcome = pack("--name", name)
    assert outcome.exit_code == 2
    assert "--name: expected a name of letters" in outcome.stderr
    assert not (tmp_path / "shards").exists()
