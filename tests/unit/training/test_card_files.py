import json
from dataclasses import replace

import pytest

from factories import tiny_config, validated, write_voices
from mrlspk.data.demo_marker import DEMO_MARKER
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints.model_card import (
    BaseCard,
    DataCard,
    ModelCard,
    TransformCard,
    TrialsCard,
    read_card,
)
from mrlspk.models.score_ranges import ScoreQuantiles, ScoreRanges
from mrlspk.training.card_files import render_markdown, with_validation, write_card
from tiny_runs import prepared

BASE = BaseCard(
    model="a|b", sha256="1" * 64, family="redimnet", licence="MIT", non_commercial=False, training_set="VoxCeleb2"
)
CARD = ModelCard(
    title="night run",
    mrlspk_version="1.2.3",
    family="redimnet",
    parameters=1_234_567,
    dims=(32, 64, 192),
    base=BASE,
    data=DataCard(folder="dev", speakers=5994, utterances=1_092_009, fingerprint="2" * 64),
    trials=TrialsCard(description="500 trials", sha256="3" * 64, n_target=200, n_nontarget=300, p_target=0.01),
)
RESULT = validated(1.5, {32: 0.1, 64: 0.05, 192: 1 / 300}, {32: 0.9, 64: 0.5, 192: 0.0333}, -2.0)
SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1


def test_card_files_are_named_after_the_checkpoint_with_its_hash(tmp_path):
    (tmp_path / "best.pt").write_bytes(b"abc")
    write_card(tmp_path / "best.pt", CARD.with_results(RESULT.eer, RESULT.min_dcf, epoch=7))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.card.json", "best.card.md", "best.pt"]
    card = json.loads((tmp_path / "best.card.json").read_text())
    assert (card["checkpoint"], card["sha256"], card["epoch"]) == ("best.pt", SHA256_OF_ABC, 7)
    assert card["results"][2] == {"dim": 192, "eer": 1 / 300, "min_dcf": 0.0333}
    assert SHA256_OF_ABC in (tmp_path / "best.card.md").read_text()


def test_card_entry_reads_back_equal():
    card = CARD.with_results(RESULT.eer, RESULT.min_dcf, epoch=7)
    entry = json.loads(json.dumps(card.entry()))
    assert not {"checkpoint", "sha256"} & set(entry)
    assert read_card({"card": entry}, "best.pt") == card
    assert read_card({"card": entry | {"of_a_later_version": 1}}, "best.pt") == card
    assert read_card({}, "best.pt") is None


def test_damaged_card_is_refused_with_its_field():
    with pytest.raises(CheckpointError, match="its model card is damaged: card.base.licence"):
        read_card({"card": CARD.entry() | {"base": BASE.model_dump() | {"licence": 3}}}, "best.pt")


def test_card_says_that_a_run_is_of_the_demo_corpus_or_for_debugging(tmp_path):
    config = tiny_config(write_voices(tmp_path / "demo" / "train"))
    card = prepared(config, tmp_path, max_batches=2).card
    assert (card.data.synthetic, card.debug_batches) == (False, 2)
    (tmp_path / "demo" / DEMO_MARKER).touch()
    card = prepared(config, tmp_path).card
    assert (card.data.synthetic, card.debug_batches) == (True, None)


def test_markdown_warns_of_the_demo_corpus_and_of_a_debug_run():
    assert not {"synthetic", "debug"} & set(render_markdown(CARD).split())
    data = CARD.data.model_copy(update={"synthetic": True})
    text = render_markdown(CARD.model_copy(update={"data": data, "debug_batches": 3}))
    assert "demo corpus of synthetic voices" in text
    assert "each epoch ended after 3 batches" in text


def test_markdown_shows_the_card():
    lines = render_markdown(CARD.with_results(RESULT.eer, RESULT.min_dcf, epoch=7)).splitlines()
    assert lines[0] == "# night run"
    what = (
        "A speaker encoder: 16 kHz speech to an embedding of 192 values whose first 32, 64 values are embeddings too."
    )
    assert what in lines
    assert "Trained from a|b on the speech of 5,994 speakers, with mrlspk 1.2.3." in lines
    assert "| 32 | 10.00 | 0.9000 |" in lines
    assert "| 192 | 0.33 | 0.0333 |" in lines
    assert "| width | EER % | minDCF (prior 0.01) |" in lines
    assert r"| name | a\|b |" in lines
    assert "| parameters | 1,234,567 |" in lines
    assert "(200 target and 300 non-target trials, SHA-256 of the list `" + "3" * 64 + "`)." in lines
    assert any(line.endswith("the base model may have been trained on their speakers.") for line in lines)
    assert not any("Non-commercial use" in line for line in lines)


def test_non_commercial_terms_come_first():
    bound = CARD.model_copy(update={"base": BASE.model_copy(update={"non_commercial": True})})
    assert render_markdown(bound).splitlines()[2].startswith("> **Non-commercial use only**")


def test_single_width_without_a_base_model_is_described():
    text = render_markdown(CARD.model_copy(update={"base": None, "dims": (192,)}))
    assert "an embedding of 192 values.\nTrained from scratch on" in text
    assert "There is no base model" in text
    assert "so metrics on others may be worse.\n" in text


def test_non_commercial_terms_hold_for_the_whole_chain():
    bound = BASE.model_copy(update={"non_commercial": True})
    between = BASE.model_copy(update={"non_commercial": None, "base": bound})
    for base, expected in ((bound, True), (between, True), (BASE, False)):
        text = render_markdown(CARD.model_copy(update={"base": base}).with_results(RESULT.eer, RESULT.min_dcf, epoch=7))
        assert ("**Non-commercial use only**" in text) == expected


def test_text_of_a_base_card_stays_on_one_line():
    hostile = BASE.model_copy(update={"model": "x\n\n> **Public domain**\x1b[31m<script>"})
    text = render_markdown(CARD.model_copy(update={"base": hostile}).with_results(RESULT.eer, RESULT.min_dcf, epoch=7))
    assert "\n> " not in text
    assert "\x1b" not in text
    assert "<script>" not in text


def test_markdown_tells_the_transform_that_the_head_starts_from():
    transform = TransformCard(centred=True, flatten=0.15, order="scatter")
    card = CARD.model_copy(update={"transform": transform})
    assert "| start of its head | centred, flattened 0.15, ordered by scatter |" in render_markdown(card)
    assert "start of its head" not in render_markdown(CARD)


def test_card_has_the_score_ranges_of_the_widths_of_the_model():
    quantiles = ScoreQuantiles(n=3, p05=0.1, p50=0.2, p95=0.3)
    ranges = tuple(ScoreRanges(dim=dim, same=quantiles, different=quantiles) for dim in (8, 32, 64, 192))
    card = with_validation(CARD, replace(RESULT, score_ranges=ranges), epoch=3)
    assert [each.dim for each in card.score_ranges] == [32, 64, 192]
    assert (card.epoch, card.results[0].eer) == (3, 0.1)
