"""The use cases of ``mrlspk index``: a folder in, a frozen report out."""
