"""What holds for every test."""

from hypothesis import settings

# The first example of a property may compile a kernel: no property is judged by the clock.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
