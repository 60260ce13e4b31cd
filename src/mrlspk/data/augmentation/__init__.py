"""Augment training crops: rooms, noise, music, talkers, volume, telephone band, codecs, speed and feature masks."""
