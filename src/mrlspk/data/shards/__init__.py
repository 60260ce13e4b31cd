"""Pack a corpus into tar files of WebDataset's format, and order crops so that few of them are read at a time."""
