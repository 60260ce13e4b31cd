from pathlib import Path

import pytest
from pydantic import ValidationError

from mrlspk.config.model import PretrainedConfig
from mrlspk.errors import MrlspkError
from mrlspk.files import file_sha256
from mrlspk.pretrained import PublishedModel, find_model, is_published, list_models

RELEASE = "https://github.com/IDRnD/ReDimNet/releases/download/latest/"
RELEASE_2 = "https://github.com/PalabraAI/redimnet2/releases/download/v1.0.0/"
SHERPA = "https://github.com/k2-fsa/sherpa-onnx/releases/download/"
SIZES = range(7)
PINS = {
    "redimnet-b2-vox2-ft_lm": ("c9b6bb2f6747caa28a41eaf2e372d66b0d1563baef186d18f5e99abd5e71e06f", 20_582_650),
    "redimnet-b2-vox2-ptn": ("c18a42926878bc8ac079623fbf36f0bc8054cda1199e96fbe1a3f8e131796647", 20_581_530),
    "redimnet-b5-vox2-ft_lm": ("8b0c11bbf5a3a8bb39e5c072c4192d0b694d8c447cf126d4cd3c7346a04b39c8", 31_174_382),
    "redimnet-M-vb2+vox2+cnc-ft_mix": ("1e0716c2f351e79df054554f17c525b899045d2d05e4c839208b975e87d94e6a", None),
    "redimnet2-b6-vb2+vox2+cnc2_v0-lm": (
        "287365f6f485b19e65e5176554f8f7123bfa8d85185f3d2c040eab51acec9868",
        51_152_991,
    ),
    "redimnet2-b3-vb2+vox2+cnc2_v0-lm": ("b64989536ef8822447d72517ad9019b870a951e85a3f176f0ed42d2a4c3d811d", None),
    "redimnet2-b6-vb2+vox2_v0-lm": ("e0a7d340a92f798720d1208949aa6a6bd0cddcb0ba7d4cec33596a17a484e6a2", None),
}
# By size: millions of parameters, 10^9 multiply-accumulates, EER in percent on VoxCeleb1-O, -E, -H after fine-tuning.
FIGURES = {
    "redimnet": "1.0/0.43 1.16/1.25/2.20, 2.2/0.54 .85/.97/1.73, 4.7/0.90 .57/.76/1.32, 3.0/3.00 .50/.73/1.33, "
    "6.3/4.80 .51/.68/1.26, 9.2/9.87 .43/.61/1.08, 15.0/20.27 .40/.55/1.05",
    "redimnet2": "1.1/0.33 1.04/1.16/1.97, 2.1/0.56 .78/.96/1.72, 3.6/0.95 .57/.76/1.41, 4.1/2.70 .42/.66/1.22, "
    "6.6/4.62 .37/.58/1.07, 8.9/9.62 .33/.56/1.07, 12.3/13.05 .29/.52/.99",
}


def checkpoints():
    return [model for model in list_models() if model.family != "onnx"]


def test_every_published_file_is_listed():
    first = {f"redimnet-b{size}-vox2-{train}" for size in SIZES for train in ("ptn", "ft_lm")}
    first |= {f"redimnet-{size}-{rest}" for size in "SM" for rest in ("vb2-ptn", "vb2+vox2+cnc-ft_mix")}
    second = {f"redimnet2-b{size}-vox2-{train}" for size in SIZES for train in ("ptn", "lm")}
    second |= {f"redimnet2-b6-vb2+vox2_v0-{train}" for train in ("ptn", "lm")}
    second |= {f"redimnet2-b{size}-vb2+vox2+cnc2_v0-{train}" for size in "36" for train in ("ptn", "lm")}
    assert sorted(model.name for model in checkpoints()) == sorted(first | second | {"redimnet-mrl-1.0.1"})


def test_name_is_family_and_published_file_name():
    for model in checkpoints():
        if model.family == "redimnet-mrl":
            assert model.url.endswith("/sappho192/redimnet-mrl/releases/download/1.0.1/best_2025-12-10_07-20.pt")
        else:
            assert model.name == f"{model.family}-{model.file.removesuffix('.pt')}"
            assert model.base_url == {"redimnet": RELEASE, "redimnet2": RELEASE_2}[model.family]


def test_known_hash_and_size_belong_to_their_model():
    model = find_model("redimnet-b2-vox2-ft_lm")
    assert model.url == f"{RELEASE}b2-vox2-ft_lm.pt"
    assert model.sha256 == "c9b6bb2f6747caa28a41eaf2e372d66b0d1563baef186d18f5e99abd5e71e06f"
    assert model.bytes == 20_582_650
    assert model.published_eer == {"vox1-o": 0.0057, "vox1-e": 0.0076, "vox1-h": 0.0132}


def test_only_files_whose_hash_is_known_are_pinned_each_to_its_own():
    pinned = {model.name: (model.sha256, model.bytes) for model in checkpoints() if model.sha256 or model.bytes}
    assert pinned == PINS


def test_speaker_models_are_named_as_their_files_in_the_release():
    models = [model for model in list_models() if model.family == "onnx"]
    assert len(models) == 21
    for model in models:
        assert model.file == f"{model.name}.onnx"
        assert model.base_url == f"{SHERPA}speaker-recongition-models/"  # as its tag is spelled
        assert model.name.startswith(("wespeaker_", "3dspeaker_", "nemo_"))
        assert model.sources("/mirror") == (
            Path(f"/mirror/{model.file}"),
            Path(f"/mirror/k2-fsa/sherpa-onnx/releases/download/speaker-recongition-models/{model.file}"),
        )
    named = {model.name for model in models if not model.licence.startswith("not confirmed")}
    assert named == {
        *(model.name for model in models if model.name.startswith("wespeaker_en_voxceleb_")),
        "3dspeaker_speech_campplus_sv_zh_en_16k-common_advanced",
        "3dspeaker_speech_eres2net_base_sv_zh-cn_3dspeaker_16k",
        "3dspeaker_speech_eres2netv2_sv_zh-cn_16k-common",
        "nemo_en_titanet_large",
    }


def test_known_speaker_model_is_the_file_at_hand(shared):
    path = shared / "pretrained" / "wespeaker-resnet34.onnx"
    model = find_model("wespeaker_en_voxceleb_resnet34")
    assert (model.sha256, model.bytes) == (file_sha256(path), path.stat().st_size)


def test_plus_in_a_file_name_is_sent_escaped():
    model = find_model("redimnet-M-vb2+vox2+cnc-ft_mix")
    assert model.url == f"{RELEASE}M-vb2%2Bvox2%2Bcnc-ft_mix.pt"
    assert model.sources(None) == (model.url,)


def test_mirror_is_searched_for_three_names():
    model = find_model("redimnet-M-vb2+vox2+cnc-ft_mix")
    assert model.sources("http://mirror.test/models/") == (
        "http://mirror.test/models/redimnet-M-vb2%2Bvox2%2Bcnc-ft_mix.pt",
        "http://mirror.test/models/M-vb2%2Bvox2%2Bcnc-ft_mix.pt",
        "http://mirror.test/models/IDRnD/ReDimNet/releases/download/latest/M-vb2%2Bvox2%2Bcnc-ft_mix.pt",
    )
    assert model.sources("/mirror") == (
        Path("/mirror/redimnet-M-vb2+vox2+cnc-ft_mix.pt"),
        Path("/mirror/M-vb2+vox2+cnc-ft_mix.pt"),
        Path("/mirror/IDRnD/ReDimNet/releases/download/latest/M-vb2+vox2+cnc-ft_mix.pt"),
    )
    assert model.sources("HTTP://mirror.test")[1] == "HTTP://mirror.test/M-vb2%2Bvox2%2Bcnc-ft_mix.pt"


def test_models_of_the_non_commercial_corpus_say_so():
    for model in checkpoints():
        assert model.licence.startswith("MIT")
        assert ("CC BY-NC-SA" in model.licence) == model.non_commercial == ("VoxBlink2" in model.training_set)
        assert model.non_commercial == ("vb2" in model.name)


def test_eer_travels_with_its_source():
    assert all((model.published_eer is None) == (model.eer_source is None) for model in list_models())


def test_unannounced_files_say_so():
    third_party = {model.name for model in list_models() if "third parties" in model.source}
    assert third_party == {model.name for model in list_models() if "cnc2" in model.name}


@pytest.mark.parametrize(("family", "tuned"), [("redimnet", "ft_lm"), ("redimnet2", "lm")])
def test_numbers_of_every_size_are_the_published_ones(family, tuned):
    for size, figures in enumerate(FIGURES[family].split(", ")):
        cost, rates = ([float(figure) for figure in part.split("/")] for part in figures.split())
        first, model = find_model(f"{family}-b{size}-vox2-ptn"), find_model(f"{family}-b{size}-vox2-{tuned}")
        assert [first.parameters, first.gmacs] == [model.parameters, model.gmacs] == cost
        assert first.published_eer is None
        assert [100 * model.published_eer[trials] for trials in ("vox1-o", "vox1-e", "vox1-h")] == pytest.approx(rates)


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs", "eer"),
    [
        ("redimnet-b6-vox2-ft_lm", 15.0, 20.27, (0.0040, 0.0055, 0.0105)),
        ("redimnet2-b0-vox2-lm", 1.1, 0.33, (0.0104, 0.0116, 0.0197)),
        ("redimnet2-b6-vb2+vox2_v0-lm", 12.5, 13.05, (0.0017, 0.0034, 0.0068)),
        ("redimnet-M-vb2+vox2+cnc-ft_mix", None, None, (0.00835, 0.00745, 0.01284)),
    ],
)
def test_numbers_are_the_published_ones(name, parameters, gmacs, eer):
    model = find_model(name)
    assert (model.parameters, model.gmacs) == (parameters, gmacs)
    assert tuple(model.published_eer[trials] for trials in ("vox1-o", "vox1-e", "vox1-h")) == eer


def test_default_configuration_names_a_published_model():
    assert is_published(PretrainedConfig().published_name)


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("redimnet-b2-vox2-ftlm", "redimnet-b2-vox2-ft_lm"),
        ("redimnet-b2-vox2-lm", "redimnet2-b2-vox2-lm"),
        ("REDIMNET-m-VB2-PTN", "redimnet-M-vb2-ptn"),
    ],
)
def test_unknown_name_error_names_the_nearest(typed, nearest):
    assert not is_published(typed)
    with pytest.raises(MrlspkError, match="no published model") as caught:
        find_model(typed)
    assert nearest in caught.value.fix


def test_unknown_name_error_points_to_the_list():
    with pytest.raises(MrlspkError) as caught:
        find_model("???")
    assert caught.value.fix == "`mrlspk pretrained list` shows all names."


@pytest.mark.parametrize("changed", [{"eer": 0.01}, {"sha256": "abc"}, {"family": "other"}, {"bytes": 0}])
def test_entry_with_an_unknown_key_or_value_is_refused(changed):
    entry = find_model("redimnet-b2-vox2-ft_lm").model_dump() | changed
    with pytest.raises(ValidationError):
        PublishedModel.model_validate(entry)
