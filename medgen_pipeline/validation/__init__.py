"""Whether what is generated agrees with what was published: checks, runs and the table."""
