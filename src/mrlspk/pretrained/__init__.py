"""Published models: where they are, and verified downloads of them."""
