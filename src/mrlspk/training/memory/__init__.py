"""How much of a GPU's memory a run takes, measured or predicted, and the batch that it has room for."""
