"""Models of p(x_t | x_<t): cells, their unroll, training, checkpoints, images as sequences."""
