"""Reports: one HTML page with its data, made from the JSON documents of ``eval`` and ``compare`` alone.

What draws it is an extra, ``mrlspk[report]``; ``check_report`` says so before any work.
"""

from mrlspk.evaluation.report.curves import score_curves
from mrlspk.evaluation.report.write import check_report, write_report

__all__ = ["check_report", "score_curves", "write_report"]
