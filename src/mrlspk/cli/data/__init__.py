"""``mrlspk data``: look at corpora, check them and write them in other forms."""
