"""The coursework that this began with, and its questions."""
