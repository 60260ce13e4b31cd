from mrlspk.evaluation.report.open_set_plots import open_set_det


def note(*curves):
    results = [{"dim": 64 * (place + 1)} for place in range(len(curves))]
    return open_set_det({"results": results, "curves": {"det": list(curves)}, "voices": 60}).note


def test_page_says_why_a_width_has_no_curve():
    flawless = {"p_fa": [1.0, 0.5, 0.0, 0.0], "p_miss": [0.0, 0.0, 0.0, 0.5]}
    usual = {"p_fa": [1.0, 0.2, 0.0], "p_miss": [0.0, 0.1, 0.5]}
    assert "No curve for width 64: a threshold parts all enrolled speakers" in note(flawless, usual)
    assert "No curve" not in note(usual)
