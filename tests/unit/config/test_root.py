import pytest
from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.config.architecture import PublishedReDimNetConfig, ReDimNetConfig
from mrlspk.config.data import DataConfig
from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.config.loss import LossConfig
from mrlspk.config.model import ModelConfig, PretrainedConfig
from mrlspk.config.training import TrainingConfig


def test_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Config().training.batch_size = 3


def test_full_width_is_the_last_and_weights_are_equal_unless_given():
    model = ModelConfig(matryoshka_dims=(4, 8))
    assert (model.embed_dim, model.weights) == (8, (1.0, 1.0))
    assert ModelConfig(matryoshka_dims=(4, 8), matryoshka_weights=(2, 0)).weights == (2.0, 0.0)


@pytest.mark.parametrize(
    ("dims", "weights", "message"),
    [
        ((64, 32), None, "must rise"),
        ((32, 32), None, "must rise"),
        ((), None, "at least 1"),
        ((0, 8), None, "greater than 0"),
        ((8, 16), (1.0,), "2 matryoshka_dims need 2"),
        ((8, 16), (0.0, 0.0), "above zero"),
        ((8, 16), (1.0, -1.0), "greater than or equal to 0"),
    ],
)
def test_widths_and_weights_that_do_not_pair_are_refused(dims, weights, message):
    with pytest.raises(ValidationError, match=message):
        ModelConfig(matryoshka_dims=dims, matryoshka_weights=weights)


def test_model_needs_either_a_pretrained_model_or_a_backbone():
    scratch = PretrainedConfig(use_pretrained=False)
    with pytest.raises(ValidationError, match="exclude each other"):
        ModelConfig(backbone=ReDimNetConfig())
    with pytest.raises(ValidationError, match="backbone is required"):
        Config(model=ModelConfig(pretrained=scratch))
    assert ModelConfig(pretrained=scratch, backbone=ReDimNetConfig()).backbone == ReDimNetConfig()


def test_the_published_name_joins_variant_corpus_and_training():
    assert PretrainedConfig().published_name == "redimnet-b2-vox2-ft_lm"


def test_strides_must_divide_the_mel_bands():
    with pytest.raises(ValidationError, match=r"stages_setup\[1\] has stride 3, which does not divide 32 bands"):
        ReDimNetConfig(F=64, stages_setup=((2, 1, 1, ((3, 3),), None), (3, 1, 1, ((3, 3),), None)))


def test_attention_needs_channels_for_four_heads():
    with pytest.raises(ValidationError, match="42 channels do not split into 4"):
        ReDimNetConfig(F=63, C=2, stages_setup=((1, 1, 1, ((3, 3),), 3),))


def test_a_published_configuration_runs_no_code():
    with pytest.raises(ValidationError, match="head_activation"):
        PublishedReDimNetConfig(head_activation="__import__('os').system('true')")


def test_published_configuration_returns_its_backbone():
    stages = ((1, 1, 1, ((3, 3),), None),)
    published = PublishedReDimNetConfig(F=72, C=8, block_1d_type="conv", stages_setup=stages, num_classes=10)
    assert published.backbone() == ReDimNetConfig(F=72, C=8, block_1d_type="conv", stages_setup=stages)


@pytest.mark.parametrize("name", ["noise_snr_range", "volume_range", "musan_snr_range"])
def test_falling_range_is_refused(name):
    with pytest.raises(ValidationError, match=r"a range is \[low, high\]"):
        DataConfig(**{name: (20, 10)})


@pytest.mark.parametrize("speeds", [(1.0,), (0.9, 0.9), (0.9, 1.0), (1.001,), (0.9, 0.9001)])
def test_repeated_or_unit_speeds_are_refused(speeds):
    with pytest.raises(ValidationError, match="additional speeds once each"):
        DataConfig(speed_perturbation=speeds)


@pytest.mark.parametrize("speed", [0.001, 0.49, 2.01, 100])
def test_speeds_lie_between_half_and_double(speed):
    with pytest.raises(ValidationError, match="speed_perturbation"):
        DataConfig(speed_perturbation=(speed,))
    assert DataConfig(speed_perturbation=(0.5, 2)).speed_perturbation == (0.5, 2.0)


@pytest.mark.parametrize(
    ("section", "key", "too_small", "smallest"),
    [
        (TrainingConfig, "batch_size", 1, 2),
        (DataConfig, "chunk_duration", 0.01, 0.1),
        (EvaluationConfig, "max_seconds", 0.001, 1.0),
    ],
)
def test_impossible_sizes_are_refused(section, key, too_small, smallest):
    with pytest.raises(ValidationError, match=key):
        section(**{key: too_small})
    assert getattr(section(**{key: smallest}), key) == smallest


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_a_probability_lies_between_0_and_1(value):
    with pytest.raises(ValidationError):
        DataConfig(noise_probability=value)


def test_only_16_khz_is_a_sample_rate():
    with pytest.raises(ValidationError):
        DataConfig(sample_rate=8000)


def test_margin_that_starts_after_it_is_full_is_refused():
    for full in (0, 3, 5):
        with pytest.raises(ValidationError, match=f"must be after margin_start_epoch, got {full} and 5"):
            LossConfig(margin_start_epoch=5, margin_full_epoch=full)
    assert LossConfig().margin_full_epoch == 0
    assert LossConfig(margin_start_epoch=3, margin_full_epoch=5).margin_full_epoch == 5


def test_9999_epochs_of_freezing_mean_always():
    assert TrainingConfig(freeze_backbone_epochs=9999).freeze_backbone_epochs is None
    assert TrainingConfig(freeze_backbone_epochs=0).freeze_backbone_epochs == 0


@pytest.mark.parametrize("prior", [0, 1])
def test_a_prior_is_neither_0_nor_1(prior):
    with pytest.raises(ValidationError):
        EvaluationConfig(p_target=(prior,))


@pytest.mark.parametrize("data", [{}, {"sampler": "speaker_balanced"}, {"utterances_per_speaker": 2}])
def test_triplets_need_two_crops_of_a_speaker_in_a_batch(data):
    with pytest.raises(ValidationError, match="Triplet needs"):
        Config(loss=LossConfig(type="Triplet"), data=DataConfig(**data))


def test_triplets_with_two_crops_of_a_speaker_are_accepted():
    data = DataConfig(sampler="speaker_balanced", utterances_per_speaker=2)
    assert Config(loss=LossConfig(type="Triplet"), data=data).data == data


def test_checkpoints_are_chosen_by_a_trained_width():
    with pytest.raises(ValidationError, match="best_by 100 is not among"):
        Config(evaluation=EvaluationConfig(best_by=100))
    assert Config(evaluation=EvaluationConfig(best_by=64)).evaluation.best_by == 64
