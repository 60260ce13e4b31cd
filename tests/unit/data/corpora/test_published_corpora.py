"""The recipes of published corpora, on imitation trees: empty files that are named and placed as in the corpus."""

import pytest

from mrlspk.data.corpora.recipe_registry import find_recipe, published_corpora, published_counts, scan_corpus


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


def test_published_counts_have_a_name_each():
    names = [name for facts in published_corpora() for name in facts.counts]
    assert len(names) == len(set(names)) == len(published_counts())
    assert (published_counts()["vox2-dev"].speakers, published_counts()["vox2-dev"].utterances) == (5_994, 1_092_009)


def test_facts_name_source_and_licence():
    for facts in published_corpora():
        assert facts.url.startswith("https://")
        assert all((facts.name, facts.title, facts.paper, facts.licence))
