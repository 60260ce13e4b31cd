from collections import Counter

from factories import tiny_config
from mrlspk.data.build import build_training_data
from mrlspk.distributed import Ranks
from mrlspk.training.corpus_sizes import count_crops
from mrlspk.training.plan import build_batches


def test_weights_of_corpora_reach_the_batches_of_a_run(tmp_path):
    for name in ("light", "heavy"):
        for path in (tmp_path / name / f"s{speaker}/{number}.wav" for speaker in range(4) for number in range(4)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    entries = [{"path": tmp_path / "light"}, {"path": tmp_path / "heavy", "weight": 3}]
    changes = {"sampler": "shuffle", "crops_per_epoch": None, "speed_perturbation": (), "n_validation_speakers": 4}
    config = tiny_config("unused", data={"train_dataset": entries, **changes})
    data = build_training_data(config.data, seed=0)
    batches = build_batches(config, data, Ranks())
    crops = [key.index for keys in batches for key in keys]
    counts = Counter(data.train.utterance_id(index) for index in crops)
    assert {(each.partition("/")[0], count) for each, count in counts.items()} == {("light", 1), ("heavy", 3)}
    assert count_crops(config, data) == len(crops) == 8 + 3 * 8
