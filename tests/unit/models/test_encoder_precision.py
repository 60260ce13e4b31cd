"""Front end, pooling and head stay in float32 under autocast."""

import pytest
import torch

from mrlspk.config.architecture import ReDimNet2Config, ReDimNetConfig, describe_architecture
from mrlspk.models.encoder import build_encoder

STAGES = ((2, 1, 2, ((3, 3),), 2),)
FIRST = ReDimNetConfig(F=8, C=4, block_1d_type="conv+att", group_divisor=2, stages_setup=STAGES)
SECOND = ReDimNet2Config(F=8, C=4, block_1d_type="att", out_channels=16, stages_setup=(((2, 2), 1, 2, ((3, 3),), 2),))


def encoder_of(backbone):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_encoder(describe_architecture(backbone, (4, 8))).eval()


def waveforms():
    return torch.randn(3, 6000, generator=torch.Generator().manual_seed(5))


def bf16():
    return torch.autocast("cpu", torch.bfloat16)


@pytest.mark.parametrize("kind", ["pt", "tf"])
def test_features_under_autocast_equal_float32_bit_for_bit(kind):
    encoder = encoder_of(FIRST.model_copy(update={"feat_type": kind}))
    with bf16():
        found, of_half = encoder.features(waveforms()), encoder.features(waveforms().bfloat16())
    assert torch.equal(found, encoder.features(waveforms()))
    assert of_half.dtype == torch.float32


@pytest.mark.parametrize("pooling", ["ASTP", "MHASTP", "MQMHASTP", "TSTP", "TSDP"])
def test_pooling_and_head_compute_in_float32_under_autocast(pooling):
    encoder = encoder_of(FIRST.model_copy(update={"pooling_func": pooling, "global_context_att": pooling == "ASTP"}))
    with bf16():
        frames = encoder.backbone(encoder.features(waveforms()))
        pooled, embedding = encoder.pooled(waveforms()), encoder(waveforms())
    assert not torch.equal(frames.float(), encoder.backbone(encoder.features(waveforms())))  # autocast was at work
    assert pooled.dtype == embedding.dtype == torch.float32
    assert torch.equal(pooled, encoder.pool(frames.float()))
    assert torch.equal(embedding, encoder.head(pooled))


@pytest.mark.parametrize("backbone", [FIRST, SECOND], ids=["redimnet", "redimnet2"])
def test_bf16_embeddings_are_close_to_float32(backbone):
    encoder = encoder_of(backbone)
    with bf16(), torch.no_grad():
        found = encoder(waveforms())
    cosine = torch.nn.functional.cosine_similarity(found, encoder(waveforms()))
    assert cosine.min() > 0.999
