"""From the dataset to other formats."""
