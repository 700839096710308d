"""Tables of figures with their units and sources, loaded and checked once."""
