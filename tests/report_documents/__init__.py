"""JSON documents of ``eval`` and ``compare`` made from drawn scores, for tests of reports."""

from report_documents.comparison import compare_document
from report_documents.drawn import DIMS
from report_documents.evaluation import eval_document

__all__ = ["DIMS", "compare_document", "eval_document"]
