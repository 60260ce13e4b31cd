"""Read, write, draw and recognise trial lists, and find the speakers of their trials."""

from mrlspk.data.text_tables import BadLinesError
from mrlspk.data.trials.generation import generate_trials, join_trials
from mrlspk.data.trials.official import OfficialMatch, official_match, official_warning
from mrlspk.data.trials.reading import read_trials
from mrlspk.data.trials.speakers import TrialSpeakers, trial_speakers
from mrlspk.data.trials.trials import Trials, format_trials, trials_text, write_trials

__all__ = [
    "BadLinesError",
    "OfficialMatch",
    "TrialSpeakers",
    "Trials",
    "format_trials",
    "generate_trials",
    "join_trials",
    "official_match",
    "official_warning",
    "read_trials",
    "trial_speakers",
    "trials_text",
    "write_trials",
]
