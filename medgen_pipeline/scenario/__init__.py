"""What a scenario is: the model, its validation, the shipped catalogue."""
