"""Networks of binary images, pixel by pixel."""
