"""A run's results as one value, and the one function that saves it."""
