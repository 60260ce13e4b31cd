import pytest

from mrlspk.config.reference import render_reference


@pytest.mark.parametrize(
    "row",
    [
        "| `lr_step_epochs` | whole number above 0 | `10` | Epochs between two decays of the step schedule. |",
        "| `max_grad_norm` | number above 0 or `null` | `1.0` | Clip the gradient to this norm; null: never. |",
        "| `hop_length` | whole number from 1 up to 16,000 | `160` | Samples between frames, at 16 kHz. |",
        "| `volume_range` | list of 2, each: number from -200 up to 200 | `[-6.0, 6.0]` | Change of volume, dB. |",
        '| `optimizer` | `AdamW` or `SGD` | `"AdamW"` | Optimiser. |',
        "| `MRLSPK_CACHE_DIR` | path | `~/.cache/mrlspk` | Folder of fetched models. |",
    ],
)
def test_row_has_key_type_default_and_meaning(row):
    assert row in render_reference().splitlines()


def test_reference_names_the_alias_of_a_key():
    rows = {row.split("`")[1]: row for row in render_reference().splitlines() if row.startswith("| `")}
    assert "Another name: `mrl_dims`." in rows["matryoshka_dims"]
    assert "Another name: `mrl_weights`." in rows["matryoshka_weights"]


def test_bar_in_a_table_cell_is_escaped():
    rows = [row for row in render_reference().splitlines() if row.startswith("| `")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}
