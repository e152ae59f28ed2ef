"""A cell over whole sequences: the loop, and faster forms of it."""
