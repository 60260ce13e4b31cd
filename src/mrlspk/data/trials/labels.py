"""The words that lists have for target and non-target, and the names that tables have for their columns."""

TARGET_WORDS = frozenset({"target", "tgt", "tar"})
NONTARGET_WORDS = frozenset({"nontarget", "non-target", "non_target", "imposter", "impostor", "imp", "non"})
TRUE_VALUES = TARGET_WORDS | {"1", "1.0", "true", "yes"}
FALSE_VALUES = NONTARGET_WORDS | {"0", "0.0", "false", "no"}

# By role, in order of preference: where a table has two of them, the first is meant and the other is a further column.
ENROLL = (
    *("enroll", "enrol", "enroll_id", "enrol_id", "enrollment", "enrolment", "enrollment_id", "enrolment_id"),
    *("enroll_path", "enroll_utterance", "enroll_wav", "enroll_file", "modelid", "model_id", "model"),
    *("utterance1", "utt1", "file1", "path1", "wav1", "audio1", "id1", "utterance_1", "utt_1", "file_1", "path_1"),
)
TEST = (
    *("test", "test_id", "test_path", "test_utterance", "test_wav", "test_file"),
    *("segmentid", "segment_id", "segment"),
    *("utterance2", "utt2", "file2", "path2", "wav2", "audio2", "id2", "utterance_2", "utt_2", "file_2", "path_2"),
)
LABEL = (
    *("is_target", "target", "targettype", "target_type", "trial_type", "label", "key"),
    *("same_speaker", "same", "is_same", "match"),
)
ENROLL_SPEAKER = (
    *("enroll_speaker", "enrol_speaker", "enroll_speaker_id", "enroll_spk", "speaker1", "spk1", "speaker_1", "spk_1"),
)
TEST_SPEAKER = ("test_speaker", "test_speaker_id", "test_spk", "speaker2", "spk2", "speaker_2", "spk_2")
MODEL = ("modelid", "model_id", "model", "enroll", "enrol", "enroll_id", "enrol_id", "enrollment", "enrolment")
UTTERANCE = (
    *("utterances", "utterance", "utterance_id", "utterance_ids", "segmentid", "segment_id", "segment", "segments"),
    *("utt", "utt_id", "file", "files", "path", "paths", "wav"),
)


def parse_label(text: str) -> bool | None:
    """Return whether ``text`` says target; None where it says neither."""
    word = text.strip().lower()
    if word in TRUE_VALUES:
        return True
    return False if word in FALSE_VALUES else None
