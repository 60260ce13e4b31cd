"""``mrlspk index``: enrol, identify, search and look after voices in a folder on disk."""
