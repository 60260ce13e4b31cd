"""JSON documents of ``eval``, ``compare`` and ``data check``, for tests of reports."""

from report_documents.comparison import compare_document
from report_documents.corpus import corpus_document
from report_documents.cut import of_one_width, without_intervals
from report_documents.drawn import DIMS
from report_documents.evaluation import eval_document
from report_documents.tables import expected_tables, page_tables

__all__ = [
    "DIMS",
    "compare_document",
    "corpus_document",
    "eval_document",
    "expected_tables",
    "of_one_width",
    "page_tables",
    "without_intervals",
]
