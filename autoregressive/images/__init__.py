"""What a pixel sequence is, and where images come from."""
