"""What is true of the dataset."""
