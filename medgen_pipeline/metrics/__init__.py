"""What is measured: names, labels and meanings of the figures, and how they add up."""
