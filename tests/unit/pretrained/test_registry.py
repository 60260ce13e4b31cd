from pathlib import Path

import pytest

from mrlspk.config.model import PretrainedConfig
from mrlspk.errors import MrlspkError
from mrlspk.pretrained import find_model, is_published, list_models

RELEASE = "https://github.com/IDRnD/ReDimNet/releases/download/latest/"


def test_every_published_file_of_the_first_release_is_listed():
    vox2 = {f"redimnet-b{size}-vox2-{train}" for size in range(7) for train in ("ptn", "ft_lm")}
    mixed = {f"redimnet-{size}-{rest}" for size in "SM" for rest in ("vb2-ptn", "vb2+vox2+cnc-ft_mix")}
    assert {model.name for model in list_models()} == vox2 | mixed


def test_name_is_family_and_published_file_name():
    assert all(model.name == f"redimnet-{model.file.removesuffix('.pt')}" for model in list_models())


def test_known_hash_and_size_belong_to_their_model():
    model = find_model("redimnet-b2-vox2-ft_lm")
    assert model.url == f"{RELEASE}b2-vox2-ft_lm.pt"
    assert model.sha256 == "c9b6bb2f6747caa28a41eaf2e372d66b0d1563baef186d18f5e99abd5e71e06f"
    assert model.bytes == 20_582_650
    assert model.published_eer == {"vox1-o": 0.0057, "vox1-e": 0.0076, "vox1-h": 0.0132}


def test_plus_in_a_file_name_is_sent_escaped():
    model = find_model("redimnet-M-vb2+vox2+cnc-ft_mix")
    assert model.url == f"{RELEASE}M-vb2%2Bvox2%2Bcnc-ft_mix.pt"
    assert model.source("http://mirror.test/models/") == "http://mirror.test/models/M-vb2%2Bvox2%2Bcnc-ft_mix.pt"
    assert model.source("/mirror") == Path("/mirror/M-vb2+vox2+cnc-ft_mix.pt")


def test_models_of_the_non_commercial_corpus_say_so():
    for model in list_models():
        assert model.licence.startswith("MIT")
        assert ("CC BY-NC-SA" in model.licence) == ("vb2" in model.name)


def test_default_configuration_names_a_published_model():
    assert is_published(PretrainedConfig().published_name)


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [("redimnet-b2-vox2-ftlm", "redimnet-b2-vox2-ft_lm"), ("REDIMNET-m-VB2-PTN", "redimnet-M-vb2-ptn")],
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
