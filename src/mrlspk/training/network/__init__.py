"""Network runs: train the encoder, or adapters on its frozen backbone."""
