"""Figures of published papers beside those of the same measurement here. A paper is one file."""
