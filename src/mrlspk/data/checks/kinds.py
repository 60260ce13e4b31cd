"""List the kinds of problems: what each one means, how it is mended, and where its threshold comes from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from mrlspk.data.audio.headers import MOST_OVERSHOOT_SECONDS
from mrlspk.data.checks.band import LEAST_BIT_RATE, LEAST_CONTRAST_DB
from mrlspk.data.checks.clipping import FLAT, LEAST_RUNS, LEAST_SHARE, RUN
from mrlspk.data.checks.headers import LENGTH_TOLERANCE_SECONDS, TOO_SHORT_SAMPLES
from mrlspk.data.checks.levels import DC_OFFSET, DC_SHARE, LEAST_SOUND_SECONDS, SILENT_LEVEL
from mrlspk.data.checks.rates import USUAL_SHARE
from mrlspk.data.checks.same_audio import SAME_CORRELATION


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Attributes:
        name: As in `Problem.kind`.
        severity: ``error`` if the corpus cannot be used as it is.
        meaning: What is wrong.
        fix: What to do about it.
        threshold: From where on it is a problem; None if there is nothing to measure.
        source: Where the threshold comes from.
    """

    name: str
    severity: Literal["error", "warning"]
    meaning: str
    fix: str
    threshold: str | None = None
    source: str | None = None


def _by_name(kinds: Iterable[Kind]) -> Mapping[str, Kind]:
    return MappingProxyType({kind.name: kind for kind in kinds})


KINDS = _by_name(
    (
        Kind("unreadable", "error", "The file or folder cannot be read or decoded.",
             "Copy or download it again, or leave it out."),
        Kind("broken_link", "error", "A link leads to no file.", "Remove the link, or copy the file."),
        Kind("same_audio", "error", "One recording is under two speakers: one of the labels is wrong.",
             "Listen, and keep the file of the right speaker; training leaves out both until then.",
             f"equal bytes, or a correlation above {SAME_CORRELATION} at some delay",
             "770 pairs of one speaker reach 0.32; copies in AAC, MP3 and Opus have 0.90 or more"),
        Kind("too_short", "error", "The audio is too short for a network.", "Leave the file out, or record it again.",
             f"{TOO_SHORT_SAMPLES} samples at 16 kHz, or what the model needs",
             "ReDimNet's front end needs more than one frame of 256 samples"),
        Kind("segment_end", "error", "A segment ends after its recording, or begins there.",
             "Correct its start and duration, or copy the recording again.",
             f"{MOST_OVERSHOOT_SECONDS} s or more after the end, where the header knows the length exactly",
             "Kaldi's extract-segments rejects segments from this overshoot on (its option max-overshoot)"),
        Kind("name", "error", "A trial list cannot hold the name: white space, or not UTF-8.",
             "Rename the file or folder."),
        Kind("repeated_id", "error", "One id stands for two utterances.", "Give each utterance its own id."),
        Kind("no_speaker", "error", "Nearly all audio is where the layout knows no speaker.",
             "Name the folder whose subfolders are the speakers.",
             "nine files without a speaker for each that has one", "a wrong level of folders leaves nearly all out"),
        Kind("speaker_overlap", "error", "A speaker is in two corpora that must have different ones.",
             "Take the speaker out of one of them, or name corpora with the same ids for different people apart."),
        Kind("missing_audio", "error", "A trial list names audio that is not there.",
             "Name the folder that the list's paths start at, or copy the rest of the audio."),
        Kind("trials", "error", "A trial list cannot be read.", "Correct the line."),
        Kind("count", "error", "There are more or fewer speakers or utterances than published.",
             "Complete the download, or take out what belongs to another part."),
        Kind("layout", "warning", "Audio lies where the layout knows no speaker, and is left out.",
             "Move it into the folder of its speaker."),
        Kind("level", "warning", "The folder seems to be a level too high or too low.",
             "Name the folder whose subfolders are the speakers."),
        Kind("format", "warning", "Audio is left out: no decoder reads a format with this suffix.",
             "Convert it to WAV or FLAC with its sample rate and coding, or leave it out."),
        Kind("special", "warning", "A pipe, device or socket is called as audio is, and is left out.", "Remove it."),
        Kind("dead_link", "warning", "A link leads nowhere.", "Remove it, or copy the folder that it leads to."),
        Kind("loop", "warning", "A link leads back to a folder that it is in.", "Remove the link."),
        Kind("many_links", "warning", "More links lead to one folder than are followed.", "Remove the links.",
             "64 visits of one folder", "folders that link to each other have more paths than can be walked"),
        Kind("repeated_folder", "warning", "A link lists the audio of a folder a second time.", "Remove the link."),
        Kind("case_clash", "warning", "Two paths differ in upper and lower case alone.",
             "Rename one of them before the corpus is copied to Windows, macOS or a network drive."),
        Kind("one_file_speaker", "warning", "A speaker has one utterance: there are no target trials of it.",
             "Add utterances, or train on it as it is."),
        Kind("duplicate", "warning", "One utterance is there in two formats.", "Keep one of the files."),
        Kind("repeated_trial", "warning", "A trial is listed more than once.", "Keep one line of each."),
        Kind("one_sided_trials", "warning", "A list has target or non-target trials only.",
             "Add the other kind: no EER without both."),
        Kind("official_list", "warning", "A list is almost an official one.", "Download the official list again."),
        Kind("same_utterance", "warning", "A trial has one recording on both sides.", "Take the trial out."),
        Kind("trial_label", "warning", "The label of a trial disagrees with the folders.",
             "Correct the label, or move the file to its speaker."),
        Kind("sample_rate", "warning", "The sample rate is lower than the model's: nothing is above half of it.",
             "Use a recording of a higher rate if there is one; resampling adds nothing.",
             "16,000 Hz, or the model's rate", "the rate of the models"),
        Kind("channels", "warning", "The recording has several channels, which are averaged.",
             "Choose one with `channel`, or leave it as it is."),
        Kind("channels_differ", "warning", "The channels are of different talkers.",
             "Choose one with `channel`, or split the file."),
        Kind("channels_cancel", "warning", "The channels cancel each other in their average.",
             "Choose one with `channel`."),
        Kind("silent", "warning", "There is no sound.", "Leave the file out.",
             f"less than {LEAST_SOUND_SECONDS} s above {SILENT_LEVEL:g} (-80 dB)",
             "16-bit dither is at -93 dB; the quietest of 3,980 good files has a peak of -26 dB"),
        Kind("clipped", "warning", "Samples stay at the limits of a recording that was too loud.",
             "Record it again with less gain, or leave it out.",
             f"{LEAST_RUNS} runs of {RUN} equal samples and {LEAST_SHARE:.2%} of all at one limit; behind a codec, "
             f"crest times flatness of loud frames below {FLAT}",
             "at most one such run, and no less than 4.9, in any of 3,980 good files; 1 for a square wave"),
        Kind("dc_offset", "warning", "The samples have a constant offset.",
             "Subtract the mean, for example with a high-pass of 20 Hz.",
             f"{DC_OFFSET:g} of full scale, or {DC_SHARE:g} of the level if that is less",
             "half of the level is a fifth of the power; 99 % of 3,980 good files are below 0.3 of it"),
        Kind("band_limited", "warning", "Telephone speech at a higher rate: there is nothing beyond 4 kHz.",
             "Look for the original, or train and test on such audio knowingly.",
             f"drop across 4 kHz and distance from speech of more than {LEAST_CONTRAST_DB:g} dB together; not of lossy "
             f"codecs below {LEAST_BIT_RATE // 1000} kbit/s",
             "at most 101 dB in 3,980 good files but of two telephone voices; more in 97 to 100 % of 8 kHz copies"),
        Kind("other_rate", "warning", "The sample rate differs from that of nearly all files.",
             "Listen: a wrong rate in the header changes pitch and speed; correct it, or leave it as it is.",
             f"one rate in {USUAL_SHARE:.0%} of the files", "a wrong rate in a header is rare in a corpus"),
        Kind("mixed_rates", "warning", "The corpus has several sample rates.",
             "Check that speakers do not differ in it: a model learns the rate in place of the voice.",
             f"no rate in {USUAL_SHARE:.0%} of the files", "as of other_rate"),
        Kind("out_of_range", "warning", "Samples are far beyond full scale.",
             "Divide them by 32768, or write integers.", "peak above 2", "decoders overshoot full scale to about 1.4"),
        Kind("damaged", "warning", "A part could not be decoded, and is silence.", "Copy or download the file again."),
        Kind("duration", "warning", "The file holds more or less audio than its header states exactly.",
             "Copy or download it again, or write its header anew.",
             f"{LENGTH_TOLERANCE_SECONDS} s", "exact headers agree to the sample; MP3 counts delay and padding"),
        Kind("two_voices", "warning", "The voice of an utterance is another than that of its speaker's others.",
             "Listen, and move it to its speaker or leave it out.",
             "cosine over that of one voice, below which two voices are likelier",
             "the corpus: its speakers' own utterances against those of random other speakers"),
        Kind("one_voice", "warning", "Two or more speakers sound like one.",
             "Listen, and give them one name, or leave all but one out.",
             "a probability of 0.5",
             "the corpus: halves of its speakers against the speakers nearest to each"),
    )
)  # fmt: skip


def kind_of(name: str) -> Kind:
    """Return a kind by its name; of one that a plug-in's recipe reports, nothing more is known."""
    return KINDS.get(name) or Kind(name, "warning", "The recipe of the corpus reports it.", "See the message.")
