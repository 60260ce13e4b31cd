import io
from dataclasses import dataclass

from rich.console import Console

from mrlspk.cli.eval import _width_table
from mrlspk.evaluation.json_documents import width_values
from mrlspk.evaluation.report.page import further_metrics
from mrlspk.metrics.width_metrics import DetectionCost, WidthMetrics


@dataclass(frozen=True)
class ExtendedMetrics(WidthMetrics):
    """The metrics with one more field."""

    c_primary: float | None = None


def test_new_metric_appears_in_the_document_the_table_and_the_page():
    metrics = ExtendedMetrics(
        4, 0.1, threshold=0.5, accuracy=0.9, dcf=(DetectionCost(0.05, 0.3),), min_cllr=0.2, c_primary=0.625
    )
    values = width_values(metrics)
    assert (values["c_primary"], values["min_dcf"], values["min_dcf_ci"]) == (0.625, 0.3, None)
    assert further_metrics([values]) == ["c_primary"]
    text = io.StringIO()
    Console(file=text, width=120).print(_width_table([metrics]))
    header, row = (line.split() for line in text.getvalue().splitlines())
    assert (header[-1], row[-1]) == ("c_primary", "0.6250")
