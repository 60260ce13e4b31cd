import re

from mrlspk.evaluation.report.plots import Series, draw_rates, looks, width_looks


def _drawing(name="figure-a", label="what it shows"):
    series = [Series((16, 32), (0.1, 0.05), ((0.08, 0.13), None)), Series((16, 32), (0.2, 0.1), (None, None))]
    return draw_rates(series, looks(2), name=name, label=label, x_label="width", widths=True)


def test_drawing_takes_its_colours_and_type_from_the_page():
    svg = _drawing()
    assert "var(--series-0)" in svg
    assert not re.search(r"#[0-9a-f]{6}|font-family|DejaVu|<style", svg)
    assert "<text" in svg


def test_drawing_says_what_it_shows_and_needs_nothing_else():
    svg = _drawing(label='misses & "accepts"')
    assert 'role="img" aria-label="misses &amp; &#34;accepts&#34;"' in svg
    assert "http" not in svg


def test_ids_of_two_drawings_differ():
    ids = [set(re.findall(r'id="([^"]+)"', _drawing(name=name))) for name in ("one", "two")]
    assert ids[0]
    assert not ids[0] & ids[1]
    svg = _drawing()
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) == set(re.findall(r'id="([^"]+)"', svg))


def test_looks_tell_series_apart():
    assert len(set(looks(8))) == 8
    assert len(set(width_looks(12))) == 12
    assert width_looks(1)[0].colour == width_looks(4)[-1].colour
