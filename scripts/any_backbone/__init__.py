"""Parts of scripts/study_any_backbone.py."""
