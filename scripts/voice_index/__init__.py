"""Parts of the study of the voice index on real speech."""
