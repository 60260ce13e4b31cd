"""Search many voices: scan short codes, then compare the best of them at the full width."""
