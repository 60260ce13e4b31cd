"""The recipes of published corpora, on imitation trees: empty files that are named and placed as in the corpus."""

import re
import tarfile
from pathlib import Path

import pytest

from mrlspk.data.choices import CORPUS_NAMES
from mrlspk.data.corpora.audio_lookup import AudioLookup
from mrlspk.data.corpora.recipe_registry import find_recipe, published_corpora, published_counts, scan_corpus
from mrlspk.errors import DataError


def imitate(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def listed(root, corpus="auto"):
    return [(each.utterance_id, each.speaker_id, each.session_id) for each in scan_corpus(root, corpus).utterances]


VOX1 = "id10270/5r0dWxy17C8/00001.wav", "id10271/1gtz-CUIygI/00001.wav"
VOX2 = "id00012/21Uxsk56VDQ/00001.m4a", "id09272/u7VNkYraCw0/00027.m4a"


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (VOX1, "voxceleb1"),
        (VOX2, "voxceleb2"),
        ((*VOX1, *VOX2), "folders"),  # two corpora in one folder are neither
        ((*VOX1, "anna/5r0dWxy17C8/00001.wav"), "folders"),
        (("id10270/5r0dWxy17C8/1.wav",), "folders"),
        (("id10270/session/00001.wav",), "folders"),
    ],
)
def test_voxceleb_is_recognised_by_its_names_and_read_as_a_tree(tmp_path, paths, name):
    root = imitate(tmp_path, *paths)
    assert find_recipe(root).name == name
    assert listed(root) == listed(root, "folders")


LIBRI = "19/198/19-198-0000.flac", "26/495/26-495-0001.flac"
CN = "id00010/singing-01-001.flac", "id00010/live_broadcast-02-003.flac", "id00800/interview-01-001.flac"
CN_EVAL = "enroll/id00800-enroll.flac", "test/id00800-singing-01-001.flac"
BLINK = "id000000/DwgYRqnQZHM/00000.wav", "id111283/5r0dWxy17C8/00012.wav"


def below(folder, paths):
    return [f"{folder}/{path}" for path in paths]


@pytest.mark.parametrize(
    ("name", "paths", "expected"),
    [
        ("librispeech", LIBRI, [("19", "19/198"), ("26", "26/495")]),
        (
            "librispeech",
            [*below("dev-clean", LIBRI[:1]), *below("train-clean-100", LIBRI[1:])],
            [("19", "19/198"), ("26", "26/495")],
        ),
        (
            "cn-celeb",
            sorted(CN),
            [
                ("id00010", "id00010/live_broadcast-02"),
                ("id00010", "id00010/singing-01"),
                ("id00800", "id00800/interview-01"),
            ],
        ),
        ("cn-celeb", below("data", CN[:1]), [("id00010", "id00010/singing-01")]),
        ("cn-celeb", CN_EVAL, [("id00800", "id00800/enroll"), ("id00800", "id00800/singing-01")]),
        ("voxblink2", BLINK, [("id000000", "id000000/DwgYRqnQZHM"), ("id111283", "id111283/5r0dWxy17C8")]),
    ],
)
def test_recipe_reads_speaker_and_session_from_paths(tmp_path, name, paths, expected):
    root = imitate(tmp_path, *paths)
    assert find_recipe(root).name == name
    assert listed(root) == [(path, *pair) for path, pair in zip(paths, expected, strict=True)]
    assert AudioLookup(root).find(paths[0]) is not None


@pytest.mark.parametrize(
    "paths",
    [
        ("19/198/19-198-0000.flac", "26/495/27-495-0001.flac"),  # not the speaker of the folder
        ("19/198/0000.flac",),
        ("id00010/shouting-01-001.flac",),  # no genre of CN-Celeb
        ("id00010/singing-01-001.flac", "anna/singing-01-001.flac"),
        ("enroll/1.flac", "test/2.flac"),
        ([*LIBRI, *(f"{speaker}/1/{speaker}-1-0.flac" for speaker in range(300, 600)), "anna/1/1.flac"]),
        ("id000000/session1/00000.wav",),
        ("train/a/1.wav", "test/b/2.wav"),
        ("clips/a/1.mp3", "validated.tsv"),
    ],
)
def test_other_trees_stay_trees_of_folders(tmp_path, paths):
    root = imitate(tmp_path, *paths)
    assert find_recipe(root).name == "folders"


def test_several_parts_of_librispeech_are_named_in_a_warning(tmp_path, caplog):
    scan_corpus(imitate(tmp_path, *below("test-clean", LIBRI[:1]), *below("train-clean-100", LIBRI[1:])))
    assert "holds the parts test-clean, train-clean-100: name one to use it alone" in caplog.text


def test_cn_celeb_reads_its_development_speakers_where_they_are_listed(tmp_path, caplog):
    root = imitate(tmp_path, *below("data", CN), *below("eval", CN_EVAL), "dev/dev.lst")
    (root / "dev/dev.lst").write_text("id00010\n")
    assert {speaker for _, speaker, _ in listed(root)} == {"id00010"}
    assert not any("evaluation speakers" in message for message in caplog.messages)
    assert len(listed(root / "eval")) == 2
    assert not any("evaluation speakers" in message for message in caplog.messages)
    assert {speaker for _, speaker, _ in listed(root / "data")} == {"id00010", "id00800"}
    assert f"holds the evaluation speakers too: name {root} for the development speakers alone" in caplog.text


HEADER = "client_id\tpath\tsentence\tup_votes"


def common_voice(root, *rows, table="validated.tsv"):
    imitate(root, "clips/a.mp3", "clips/b.mp3", "clips/c.mp3")
    (root / table).write_text("\n".join([HEADER, *rows, ""]))
    return root


def test_common_voice_takes_speakers_from_the_table(tmp_path):
    quotes, line_separator = '5f\ta.mp3\t"Say, he said\t2', "1c\tb.mp3\tone\u2028two\t2"
    root = common_voice(tmp_path, quotes, line_separator)
    assert find_recipe(root).name == "common-voice"
    assert listed(root) == [("clips/a.mp3", "5f", "5f"), ("clips/b.mp3", "1c", "1c")]
    common_voice(tmp_path, "5f\tc.mp3\tthree\t2", table="train.tsv")
    assert listed(root)[0][0] == "clips/a.mp3"  # all validated clips, whatever else is there
    assert listed(root / "train.tsv") == [("clips/c.mp3", "5f", "5f")]
    assert AudioLookup(root / "train.tsv").find("clips/c.mp3").path == root / "clips/c.mp3"
    (root / "dev.tsv").write_bytes(b"\xef\xbb\xbfpath\tclient_id\r\nb.mp3\t5f\r\n")  # as Windows writes it
    assert listed(root / "dev.tsv") == [("clips/b.mp3", "5f", "5f")]


def test_common_voice_without_clips_or_speakers_is_an_error(tmp_path):
    root = common_voice(tmp_path, "5f\ta.mp3\tone\t2", "5f\tgone.mp3\tone\t2", "5f\tlost.mp3\tone\t2")
    with pytest.raises(DataError, match="2 clips: clips/gone.mp3, clips/lost.mp3: expected what validated.tsv names"):
        scan_corpus(root)
    (root / "validated.tsv").write_text(f"{HEADER}\n5f\ta.mp3\tone\t2\n\tb.mp3\ttwo\t2\n5f\n")
    with pytest.raises(DataError) as caught:
        scan_corpus(root)
    assert "validated.tsv:3: expected client_id and path" in caught.value.what
    assert "validated.tsv:4: expected client_id and path" in caught.value.what
    (root / "validated.tsv").write_bytes(f"{HEADER}\n5f\ta.mp3\t".encode() + b"caf\xe9\t2\n")
    with pytest.raises(DataError, match="expected UTF-8 text") as caught:
        scan_corpus(root)
    assert str(caught.value.where).endswith("validated.tsv:2")


def test_speechocean762_takes_speakers_from_its_tables(tmp_path):
    paths = "WAVE/SPEAKER0001/000010011.WAV", "WAVE/SPEAKER0003/000030012.WAV"
    root = imitate(tmp_path, *paths)
    for part, path in zip(("train", "test"), paths, strict=True):
        (root / part).mkdir()
        (root / part / "wav.scp").write_text(f"{path[-13:-4]}\t{path}\n")
        (root / part / "utt2spk").write_text(f"{path[-13:-4]}\t{path[12:16]}\n")
    assert find_recipe(root).name == find_recipe(root / "test").name == "speechocean762"
    assert listed(root) == [(paths[0], "0001", "0001"), (paths[1], "0003", "0003")]
    assert listed(root / "test") == [(paths[1], "0003", "0003")]
    assert scan_corpus(root / "test").utterances[0].source.path == root / paths[1]
    assert find_recipe(root / "WAVE").name == "folders"
    (root / "test/utt2spk").write_text("000030013 0003\n")
    with pytest.raises(DataError, match="expected the speaker of 000030012") as caught:
        scan_corpus(root)
    assert caught.value.where == root / "test/utt2spk"


def test_voxblink2_is_read_from_tar_files(tmp_path):
    files = imitate(tmp_path / "files", *BLINK, "notes.wav")
    (files / BLINK[1]).write_bytes(b"sound" * 100)
    for name, member in (("0.tar", BLINK[0]), ("1.tar", BLINK[1])):
        with tarfile.open(tmp_path / name, "w") as tar:
            tar.add(files / member, f"audio/{member}")
    assert find_recipe(tmp_path / "0.tar").name == find_recipe(tmp_path).name == "voxblink2"
    with tarfile.open(tmp_path / "0.tar", "a") as tar:
        tar.add(files / "notes.wav", "audio/notes.wav")
    assert AudioLookup(tmp_path / "1.tar").find(BLINK[1]) == AudioLookup(tmp_path, "voxblink2").find(BLINK[1])
    manifest = scan_corpus(tmp_path, "voxblink2")
    assert [(each.utterance_id, each.speaker_id) for each in manifest.utterances] == [
        (BLINK[0], "id000000"),
        (BLINK[1], "id111283"),
    ]
    assert manifest.utterances[1].source.open().read() == b"sound" * 100
    assert [each.path for each in manifest.left_out] == ["0.tar:audio/notes.wav"]


def test_published_counts_have_a_name_each():
    names = [name for facts in published_corpora() for name in facts.counts]
    assert len(names) == len(set(names)) == len(published_counts())
    assert (published_counts()["vox2-dev"].speakers, published_counts()["vox2-dev"].utterances) == (5_994, 1_092_009)


def test_facts_name_source_and_licence():
    for facts in published_corpora():
        assert facts.url.startswith("https://")
        assert all((facts.name, facts.title, facts.paper, facts.licence))


def test_page_on_corpora_has_every_recipe_and_its_counts():
    page = (Path(__file__).parents[4] / "docs/data.md").read_text()
    section = page.partition("## Corpora that are recognised\n")[2].partition("\n## ")[0]
    rows = {row.split("`")[1]: row for row in section.splitlines()[4:] if row.startswith("| `")}
    rows.pop("--corpus", None)
    assert {*rows} == {*CORPUS_NAMES}
    for facts in published_corpora():
        stated = re.findall(r"`([\w-]+)`: ([\d,]+), ([\d,]+)(?=[; ])", rows[facts.name].replace(" |", "; "))
        counts = {name: tuple(int(each.replace(",", "")) for each in pair) for name, *pair in stated}
        assert counts == {name: (each.speakers, each.utterances) for name, each in facts.counts.items()}
        assert facts.url in rows[facts.name]
