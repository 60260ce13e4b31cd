"""The networks: front end, backbone, pooling, head, the encoder that joins them, and its checkpoints."""
