import pytest

from mrlspk.config import load_config
from mrlspk.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "channel"), [("mix", "mix"), ("left", 0), ("right", 1), ("0", 0), ('"3"', 3), ("255", 255)]
)
@pytest.mark.parametrize("section", ["evaluation", "data"])
def test_channel_is_the_mix_or_a_number(section, typed, channel):
    config = load_config(None, [f"{section}.channel={typed}"], environment={})
    assert getattr(config, section).channel == channel


@pytest.mark.parametrize(
    "typed", ["each", "middle", "-1", "256", "1.0", "true", "null", "[0]", "LEFT", ".nan", ".inf", "1" + "0" * 23]
)
def test_other_channels_are_refused(typed):
    with pytest.raises(ConfigError, match="expected mix, left, right or a number from 0 to 255"):
        load_config(None, [f"evaluation.channel={typed}"], environment={})
