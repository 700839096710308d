"""One batch from scenario to committed files, in one process or several."""
