"""The parts of scripts/study_recipes.py."""
