"""Turn recordings and vector files into voices: their mean vectors, condition profiles and warnings."""
