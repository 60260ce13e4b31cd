"""Remove parts of documents."""

from copy import deepcopy

from report_documents.drawn import FEW_SPEAKERS


def of_one_width(document):
    """The document of the widest width alone."""
    document = deepcopy(document)
    for trials in document["trials"]:
        trials["results"] = trials["results"][-1:]
        if curves := trials.get("curves"):
            trials["curves"] = {key: value and value[-1:] for key, value in curves.items()}
    return document


def without_intervals(document):
    """The document of an evaluation of lists that have too few speakers for intervals."""
    document = deepcopy(document)
    for trials in document["trials"]:
        trials["intervals"] |= FEW_SPEAKERS
        for result in trials["results"]:
            result |= {"eer_ci": None, "min_dcf_ci": None}
            for dcf in result["dcf"]:
                dcf["min_dcf_ci"] = None
    return document
