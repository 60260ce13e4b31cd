from itertools import combinations

import numpy as np
import pytest
import soundfile
import torch

from factories import tiny_encoder
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.audio.source import FileSource
from mrlspk.evaluation.baselines import score_baselines
from mrlspk.evaluation.embedder import Embeddings, build_embedder
from mrlspk.evaluation.model_origin import Origin
from mrlspk.evaluation.trial_list import read_trial_lists
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.eer import equal_error_rate


@pytest.fixture
def lists(tmp_path):
    """All pairs of nine recordings of three voices; the second list is the first without its first trial."""
    rng, time = np.random.default_rng(0), np.arange(6000) / 16000
    names = [f"s{speaker}/{number}.wav" for speaker in range(3) for number in range(3)]
    for index, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        voice = np.sin(2 * np.pi * (150 + 60 * (index // 3)) * time) + 0.3 * rng.normal(size=6000)
        soundfile.write(tmp_path / name, 0.2 * voice, 16000)
    lines = [f"{int(a[:2] == b[:2])} {a} {b}\n" for a, b in combinations(names, 2)]
    for path, text in (("one.txt", lines), ("two.txt", lines[1:])):
        (tmp_path / path).write_text("".join(text))
    return read_trial_lists([tmp_path / "one.txt", tmp_path / "two.txt"], [tmp_path], source="--trials")


def embedder_of(encoder):
    return build_embedder(TorchBackend(encoder), EvaluationConfig(), cache_dir=None)


def by_hand(encoder, trial_list, matrix, dim):
    """The scores of a list by a loop over its trials."""
    vectors = {}
    for name, source in trial_list.audio.items():
        samples, _ = soundfile.read(source.path, dtype="float32")
        with torch.no_grad():
            whole = matrix @ encoder(torch.from_numpy(samples)[None])[0].double().numpy()
        vectors[name] = whole[:dim] / np.linalg.norm(whole[:dim])
    trials = trial_list.trials
    return np.array([vectors[a] @ vectors[b] for a, b in zip(trials.enroll_ids, trials.test_ids, strict=True)])


def test_baselines_measure_the_whole_truncated_and_rotated_embedding(lists):
    model, own = tiny_encoder((2, 4, 12)), tiny_encoder((6,), seed=1)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    found = score_baselines(Origin(own, turn), embedder_of(model), lists, dims=(2, 4, 12), p_target=0.1)
    for trial_list, baselines in zip(lists, found, strict=True):
        assert [each.name for each in baselines] == ["own", "truncation", "rotation"]
        assert [[width.dim for width in each.results] for each in baselines] == [[6], [2, 4], [2, 4]]
        for each, matrix in zip(baselines, (np.eye(6), np.eye(6), turn), strict=True):
            for width in each.results:
                scores, is_target = by_hand(own, trial_list, matrix, width.dim), trial_list.trials.is_target
                assert width.eer == pytest.approx(equal_error_rate(scores, is_target), abs=1e-9)
                assert width.min_dcf == pytest.approx(min_dcf(scores, is_target, p_target=0.1), abs=1e-9)


def test_baselines_without_rotation_or_common_width_are_left_out(lists):
    model, own = tiny_encoder((4, 8)), tiny_encoder((6,), seed=1)
    (first, _) = score_baselines(Origin(own, None), embedder_of(model), lists, dims=(4,), p_target=0.1)
    assert [(each.name, len(each.results)) for each in first] == [("own", 1), ("truncation", 1)]
    (first, _) = score_baselines(Origin(own, np.eye(6)), embedder_of(model), lists, dims=(8,), p_target=0.1)
    assert [(each.name, len(each.results)) for each in first] == [("own", 1), ("truncation", 0)]


def test_rotated_embeddings_are_the_product_and_the_others_stay():
    a, b = Recording(FileSource("a.wav")), Recording(FileSource("b.wav"))
    vectors = {a: np.array([1, 2], np.float32), b: np.array([3, 4], np.float32)}
    before = Embeddings({each: EmbeddedRecording(vector, 1.0, ("silent",)) for each, vector in vectors.items()})
    after = before.rotated(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    assert {each: embedded.vector.tolist() for each, embedded in after.found.items()} == {a: [2, -1], b: [4, -3]}
    assert {(each.seconds, each.warnings) for each in after.found.values()} == {(1.0, ("silent",))}
    assert before.found[a].vector.tolist() == [1, 2]


def test_truncation_is_left_out_where_an_embedding_is_all_zeros(lists):
    turn = np.eye(6)[::-1].copy()
    own = tiny_encoder((6,), seed=1).rotated(np.diag([0.0, 0, 1, 1, 1, 1]), (6,)).eval()
    (first, _) = score_baselines(Origin(own, turn), embedder_of(tiny_encoder((2, 4))), lists, dims=(2, 4), p_target=0.1)
    assert [[width.dim for width in each.results] for each in first] == [[6], [4], [2, 4]]
