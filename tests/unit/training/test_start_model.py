import pytest

from mrlspk.config import load_config
from mrlspk.errors import CheckpointError
from mrlspk.workflows.plan_training import plan_training
from mrlspk.workflows.train import train


@pytest.mark.parametrize("begin", [train, plan_training])
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.pt", None, "no such model file"),
        ("none.onnx", None, "no such model file"),
        ("cut.pt", b"PK\x03\x04 cut", "is damaged or no checkpoint"),
        ("text.pt", b"text", "is not a checkpoint"),
        ("cut.onnx", b"\x08\x07 cut", "is not a whole ONNX file"),
    ],
)
def test_model_at_fault_is_told_before_the_corpus_is_read(tmp_path, begin, name, content, told):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    pretrained = {"use_pretrained": "true", "pretrained_checkpoint": tmp_path / name}
    overrides = [f"model.pretrained.{key}={value}" for key, value in pretrained.items()]
    config = load_config(overrides=[*overrides, f"data.train_dataset={tmp_path / 'absent'}", "hardware.device=cpu"])
    with pytest.raises(CheckpointError, match=told) as raised:
        begin(config, cache_dir=tmp_path / "cache")
    assert name in str(raised.value)
