"""Augment training crops: noise, rooms, speed and volume."""
