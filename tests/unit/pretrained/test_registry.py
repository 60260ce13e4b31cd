from pathlib import Path

import pytest
from pydantic import ValidationError

from mrlspk.config.model import PretrainedConfig
from mrlspk.errors import MrlspkError
from mrlspk.pretrained import PublishedModel, find_model, is_published, list_models

RELEASE = "https://github.com/IDRnD/ReDimNet/releases/download/latest/"
RELEASE_2 = "https://github.com/PalabraAI/redimnet2/releases/download/v1.0.0/"
SIZES = range(7)


def test_every_published_file_is_listed():
    first = {f"redimnet-b{size}-vox2-{train}" for size in SIZES for train in ("ptn", "ft_lm")}
    first |= {f"redimnet-{size}-{rest}" for size in "SM" for rest in ("vb2-ptn", "vb2+vox2+cnc-ft_mix")}
    second = {f"redimnet2-b{size}-vox2-{train}" for size in SIZES for train in ("ptn", "lm")}
    second |= {f"redimnet2-b6-vb2+vox2_v0-{train}" for train in ("ptn", "lm")}
    second |= {f"redimnet2-b{size}-vb2+vox2+cnc2_v0-{train}" for size in "36" for train in ("ptn", "lm")}
    assert sorted(model.name for model in list_models()) == sorted(first | second | {"redimnet-mrl-1.0.1"})


def test_name_is_family_and_published_file_name():
    for model in list_models():
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


def test_only_files_whose_hash_was_published_are_pinned_each_to_its_own():
    pinned = {model.name: model.sha256[:8] for model in list_models() if model.sha256}
    assert pinned == {
        "redimnet-b2-vox2-ft_lm": "c9b6bb2f",
        "redimnet-b2-vox2-ptn": "c18a4292",
        "redimnet-b5-vox2-ft_lm": "8b0c11bb",
        "redimnet-M-vb2+vox2+cnc-ft_mix": "1e0716c2",
        "redimnet2-b6-vb2+vox2+cnc2_v0-lm": "287365f6",
        "redimnet2-b3-vb2+vox2+cnc2_v0-lm": "b6498953",
        "redimnet2-b6-vb2+vox2_v0-lm": "e0a7d340",
    }
    assert {model.name: model.bytes for model in list_models() if model.bytes} == {
        "redimnet-b2-vox2-ft_lm": 20_582_650,
        "redimnet-b2-vox2-ptn": 20_581_530,
        "redimnet-b5-vox2-ft_lm": 31_174_382,
        "redimnet2-b6-vb2+vox2+cnc2_v0-lm": 51_152_991,
    }


def test_plus_in_a_file_name_is_sent_escaped():
    model = find_model("redimnet-M-vb2+vox2+cnc-ft_mix")
    assert model.url == f"{RELEASE}M-vb2%2Bvox2%2Bcnc-ft_mix.pt"
    assert model.sources(None) == (model.url,)


def test_mirror_holds_a_file_under_its_name_here_or_as_published():
    model = find_model("redimnet-M-vb2+vox2+cnc-ft_mix")
    assert model.sources("http://mirror.test/models/") == (
        "http://mirror.test/models/redimnet-M-vb2%2Bvox2%2Bcnc-ft_mix.pt",
        "http://mirror.test/models/M-vb2%2Bvox2%2Bcnc-ft_mix.pt",
    )
    assert model.sources("/mirror") == (
        Path("/mirror/redimnet-M-vb2+vox2+cnc-ft_mix.pt"),
        Path("/mirror/M-vb2+vox2+cnc-ft_mix.pt"),
    )
    assert model.sources("HTTP://mirror.test")[1] == "HTTP://mirror.test/M-vb2%2Bvox2%2Bcnc-ft_mix.pt"


def test_models_of_the_non_commercial_corpus_say_so():
    for model in list_models():
        assert model.licence.startswith("MIT")
        assert ("CC BY-NC-SA" in model.licence) == model.non_commercial == ("VoxBlink2" in model.training_set)
        assert model.non_commercial == ("vb2" in model.name)


def test_eer_travels_with_its_source():
    assert all((model.published_eer is None) == (model.eer_source is None) for model in list_models())


def test_files_that_no_publisher_names_say_so():
    third_party = {model.name for model in list_models() if "third parties" in model.source}
    assert third_party == {model.name for model in list_models() if "cnc2" in model.name}


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs", "eer"),
    [
        ("redimnet-b6-vox2-ft_lm", 15.0, 20.27, (0.0040, 0.0055, 0.0105)),
        ("redimnet2-b0-vox2-lm", 1.1, 0.33, (0.0104, 0.0116, 0.0197)),
        ("redimnet2-b6-vb2+vox2_v0-lm", 12.5, 13.05, (0.0017, 0.0034, 0.0068)),
        ("redimnet-M-vb2+vox2+cnc-ft_mix", None, None, (0.00835, 0.00745, 0.01284)),
    ],
)
def test_figures_are_the_published_ones(name, parameters, gmacs, eer):
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
def test_unknown_name_is_answered_with_the_nearest(typed, nearest):
    assert not is_published(typed)
    with pytest.raises(MrlspkError, match="no published model") as caught:
        find_model(typed)
    assert nearest in caught.value.fix


def test_name_like_no_other_is_answered_with_the_list():
    with pytest.raises(MrlspkError) as caught:
        find_model("???")
    assert caught.value.fix == "`mrlspk pretrained list` shows all names."


@pytest.mark.parametrize("changed", [{"eer": 0.01}, {"sha256": "abc"}, {"family": "other"}, {"bytes": 0}])
def test_entry_with_an_unknown_key_or_value_is_refused(changed):
    entry = find_model("redimnet-b2-vox2-ft_lm").model_dump() | changed
    with pytest.raises(ValidationError):
        PublishedModel.model_validate(entry)
