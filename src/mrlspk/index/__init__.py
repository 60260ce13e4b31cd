"""Enrol, search and identify voices in a folder on disk."""
