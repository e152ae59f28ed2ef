"""Networks over a grid of settings."""
