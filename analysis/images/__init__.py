"""Networks of images: scores, continuations, in-painting."""
