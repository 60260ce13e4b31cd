import re

import pytest

from mrlspk.evaluation.report.drawing import MUTED, SERIES, WIDTHS, drawing, looks, new_figure, to_svg, width_looks


def _drawing(name="figure-a"):
    with drawing():
        figure = new_figure()
        for axes in figure.subplots(1, 2):
            axes.plot([16, 32], [10, 5], **looks(1)[0].line, marker="o")
            axes.set_xlabel("width")
        return to_svg(figure, name)


def test_drawing_has_no_ground_and_leaves_text_as_text():
    svg = _drawing()
    assert svg.startswith("<svg")
    assert "<text" in svg
    assert set(re.findall(r"fill: (#[0-9a-f]+)", svg)) == {SERIES[0], MUTED}  # of markers and ticks


def test_ids_of_two_drawings_differ():
    ids = [re.findall(r'id="([^"]+)"', _drawing(name=name)) for name in ("one", "two")]
    assert ids[0]
    assert len(set(ids[0] + ids[1])) == len(ids[0] + ids[1])
    svg = _drawing()
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= set(re.findall(r'id="([^"]+)"', svg))


def test_looks_tell_series_apart():
    assert len(set(looks(8))) == 8
    assert len(set(width_looks(12))) == 12
    assert [look.colour for look in width_looks(4)] == [WIDTHS[0], WIDTHS[2], WIDTHS[5], WIDTHS[7]]
    assert width_looks(1)[0].colour == WIDTHS[-1]


@pytest.mark.parametrize("ground", ["#ffffff", "#1a1e25"], ids=["light", "dark"])
def test_colours_stand_out_on_a_light_and_a_dark_page(ground):
    for colour in SERIES + WIDTHS:
        contrast = (_luminance(colour) + 0.05) / (_luminance(ground) + 0.05)
        assert max(contrast, 1 / contrast) > 3, colour


def _luminance(colour):
    """Relative luminance after WCAG 2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
