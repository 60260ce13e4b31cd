import pytest

from mrlspk.evaluation.report import rate_plots, score_plots
from report_documents import eval_document


@pytest.fixture
def drawn(monkeypatch):
    """The Matplotlib figures by their names."""
    figures = {}

    def note(figure, name):
        figures[name] = figure
        return ""

    for module in (rate_plots, score_plots):
        monkeypatch.setattr(module, "to_svg", note)
    return figures


@pytest.fixture(scope="session")
def two_lists():
    return eval_document(extras=False)
