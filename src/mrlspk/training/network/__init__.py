"""What goes through the network at every step: trained whole, in stages, or with adapters."""
