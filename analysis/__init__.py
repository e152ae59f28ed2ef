"""What a network and the exact Bayesian predictor say to each other."""
