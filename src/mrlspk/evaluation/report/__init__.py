"""Write reports: an HTML page and its data, made from the JSON documents of ``eval``, ``compare`` and ``report``.

Drawing needs the extra ``mrlspk[report]``; ``check_report`` checks for it before any work.
"""

from mrlspk.evaluation.report.curves import score_curves
from mrlspk.evaluation.report.write import DATA, PAGE, check_report, write_report

__all__ = ["DATA", "PAGE", "check_report", "score_curves", "write_report"]
