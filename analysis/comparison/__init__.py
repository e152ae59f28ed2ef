"""Networks and exact Bayes on the same streams."""
