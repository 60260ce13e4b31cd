"""Recipes that read corpora, and the demo corpus."""
