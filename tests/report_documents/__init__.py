"""JSON documents of ``eval`` and ``compare`` from random scores, for tests of reports."""

from report_documents.comparison import compare_document
from report_documents.cut import of_one_width, without_intervals
from report_documents.drawn import DIMS
from report_documents.evaluation import eval_document

__all__ = ["DIMS", "compare_document", "eval_document", "of_one_width", "without_intervals"]
