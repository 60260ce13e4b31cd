"""``mrlspk vectors``: inspect and convert files of other toolkits."""

import kaldiio
import numpy as np
import pytest

from mrlspk.vectors.loading import load_vectors

IDS = "a/1", "a/2", "b/1"
VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def write_npz(path, ids=IDS, vectors=VECTORS):
    np.savez(path, ids=np.array(ids), embeddings=vectors, fingerprint=np.array("f"))
    return path


def test_inspect_tells_count_width_speakers_and_fingerprint(run, tmp_path):
    outcome = run("vectors", "inspect", write_npz(tmp_path / "v.npz"), "--json")
    assert outcome.exit_code == 0
    found = {key: outcome.json[key] for key in ("count", "dim", "speakers", "fingerprint", "problems", "ok")}
    assert found == {"count": 3, "dim": 4, "speakers": 2, "fingerprint": "f", "problems": [], "ok": True}


def test_inspect_exits_3_and_lists_every_error(run, tmp_path):
    path = write_npz(tmp_path / "v.npz", ("a/1", "a/1", "u"), np.array([[1, 2], [0, 0], [np.nan, 1]]))
    outcome = run("vectors", "inspect", path, "--json")
    assert outcome.exit_code == 3
    assert not outcome.json["ok"]
    found = [(each["kind"], each["where"]) for each in outcome.json["problems"]]
    assert found == [("repeated_id", "a/1"), ("zero", "a/1"), ("non_finite", "u"), ("no_speaker", "u")]
    table = run("vectors", "inspect", path)
    assert table.exit_code == 3
    assert "expected finite values, got 1 that are not" in table.stdout
    assert "not ok: errors 3, warnings 1" in table.stdout


def test_speakers_of_kaldi_ids_come_from_utt2spk(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entries = {f"a-{index}": vector for index, vector in enumerate(VECTORS)}
    kaldiio.save_ark("v.ark", entries, scp="v.scp")
    assert run("vectors", "inspect", "v.scp", "--json").json["speakers"] is None
    (tmp_path / "utt2spk").write_text("a-0 anna\na-1 anna\na-2 ben\n")
    outcome = run("vectors", "inspect", "v.scp", "--speakers", "utt2spk", "--json")
    assert (outcome.json["speakers"], outcome.json["problems"]) == (2, [])
    (tmp_path / "utt2spk").write_text("a-0 anna\n")
    outcome = run("vectors", "inspect", "v.scp", "--speakers", "utt2spk", "--json")
    assert (outcome.exit_code, outcome.json["speakers"], len(outcome.json["problems"])) == (3, 1, 2)


def test_convert_goes_round_through_every_format(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "0.npz")
    names = ["0.npz", "1.npy", "2.scp", "3.ark", "4.parquet", "5.jsonl", "6.npz"]
    for before, after in zip(names[:-1], names[1:], strict=True):
        outcome = run("vectors", "convert", before, "-o", after, "--json")
        assert (outcome.exit_code, outcome.json["path"], outcome.json["count"]) == (0, after, 3)
    table = load_vectors(tmp_path / "6.npz")
    assert table.ids == IDS
    np.testing.assert_array_equal(table.vectors, VECTORS)


def test_convert_refuses_or_drops_vectors_without_a_direction(run, tmp_path):
    path = write_npz(tmp_path / "v.npz", ("a/1", "a/2", "b/1"), np.array([[1, 2], [0, 0], [np.inf, 1]], np.float32))
    outcome = run("vectors", "convert", path, "-o", tmp_path / "out.jsonl")
    assert outcome.exit_code == 3
    assert "2 of 3 vectors are zero or not finite, such as a/2, b/1" in outcome.stderr
    assert "leave them out with --drop-unusable" in outcome.stderr
    assert not (tmp_path / "out.jsonl").exists()
    outcome = run("vectors", "convert", path, "-o", tmp_path / "out.jsonl", "--drop-unusable", "--json")
    assert (outcome.exit_code, outcome.json["count"], outcome.json["dropped"]) == (0, 1, ["a/2", "b/1"])
    table = load_vectors(tmp_path / "out.jsonl")
    assert (table.ids, table.vectors.tolist(), table.fingerprint) == (("a/1",), [[1, 2]], "f")


def test_npy_takes_its_ids_from_a_file(run, tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "names").write_text("\n".join(IDS))
    outcome = run("vectors", "inspect", tmp_path / "v.npy", "--ids", tmp_path / "names", "--json")
    assert outcome.json["speakers"] == 2
    outcome = run("vectors", "inspect", write_npz(tmp_path / "v.npz"), "--ids", tmp_path / "names")
    assert (outcome.exit_code, "Leave --ids out" in outcome.stderr) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("inspect", "gone.npz"), 3, "gone.npz: cannot be read: No such file or directory\nCheck the path."),
        (("inspect", "v.npz", "--speakers", "gone"), 3, "gone: cannot be read"),
        (("convert", "v.npz", "-o", "v.csv"), 2, "--output: expected a name that ends in .npz"),
        (("convert", "v.npz", "-o", "v.npz"), 1, "v.npz: exists\nGive another name, or --force"),
        (("inspect", "v.pkl"), 3, "got a pickle"),
    ],
)
def test_bad_requests_exit_with_their_code(run, tmp_path, monkeypatch, arguments, code, told):
    monkeypatch.chdir(tmp_path)
    write_npz(tmp_path / "v.npz")
    (tmp_path / "v.pkl").write_bytes(b"\x80\x04.")
    outcome = run("vectors", *arguments)
    assert (outcome.exit_code, told in outcome.stderr) == (code, True), outcome.stderr
