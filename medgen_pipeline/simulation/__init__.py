"""What happens to casualties: arrays in, arrays out."""
