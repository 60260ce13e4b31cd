import pytest

from first_hour import FOREIGN
from mrlspk.config import load_config
from mrlspk.config.keys import known_keys
from mrlspk.errors import ConfigError

BAD_VALUES = "abc", "-1", "1.5", "true", "null", "[a, [1]]", "{a: b}", "1e30", ".nan"


def refusal(override):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.batch_size=abc", "training.batch_size (`set`): expected a whole number or 'auto', got 'abc'"),
        ("training.batch_size=1", "training.batch_size (`set`): expected a number of 2 or more or 'auto', got 1"),
        ("training.learning_rate=0", "training.learning_rate (`set`): expected a number above 0, got 0"),
        ("training=3", "training (`set`): expected keys and values, got 3"),
        ("seed=null", "seed (`set`): expected a whole number, got null"),
        ("model.matryoshka_dims=[8, x]", "model.matryoshka_dims.1 (`set`): expected a whole number, got 'x'"),
        ("data.exclude=x.tsv", "data.exclude (`set`): expected a list, got 'x.tsv'; put it in brackets: [x.tsv]"),
        (
            "data.noise_snr_range=[1, 2, 3]",
            "data.noise_snr_range (`set`): expected a list of 2 or fewer, got [1, 2, 3]",
        ),
        ("evaluation.trials=[{path: a}]", "evaluation.trials.0.audio_root (`set`): is missing"),
        ("loss.margin_shares={a: b}", "loss.margin_shares.a (`set`): expected a whole number, got 'a'"),
        ("hardware.device=gpu", "hardware.device (`set`): expected auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        ("data.channel=x", "data.channel (`set`): expected mix, left, right or a number from 0 to 255, got x"),
    ],
)
def test_refused_value_says_what_is_expected(override, expected):
    assert refusal(override) == expected


def test_no_key_answers_a_bad_value_in_the_words_of_a_library():
    texts = []
    for key in known_keys():
        for value in BAD_VALUES:
            try:
                load_config(None, [f"{key}={value}"])
            except ConfigError as error:
                texts.append(str(error))
    assert len(texts) > 500
    assert [text for text in texts if FOREIGN.search(text) or "another value" in text] == []
