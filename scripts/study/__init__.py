"""Parts of scripts/study_recipes.py."""
