"""Manifest files: the utterances of a corpus in one file, ours and those of NeMo, Kaldi and lhotse."""
