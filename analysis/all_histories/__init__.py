"""Predictions for all histories of a task, by files: the exact gap without the network."""
