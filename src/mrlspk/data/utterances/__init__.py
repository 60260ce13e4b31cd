"""Utterances in columns: a million of them in a hundred megabytes."""
