"""The networks: front end, backbone, pooling, head, and the encoder that joins them."""
