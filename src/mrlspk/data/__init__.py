"""Corpora, trial lists, and the audio and crops of their utterances."""
