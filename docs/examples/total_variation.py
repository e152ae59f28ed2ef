"""A metric: the total variation distance from Bayes.

    meta-learn --load total_variation.py compare --alpha 10,1,1 --T 20 --out report

It is the largest difference that the two give to the probability of any set of outcomes, in 0 to 1; by
Pinsker's inequality at most sqrt(KL / 2).
"""

import numpy as np

from analysis.comparison.metrics import METRICS, Metric


def total_variation(log_q, log_bayes, targets):
    """log_q, log_bayes: (streams, places, K+1). Returns (streams, places)."""
    return 0.5 * np.abs(np.exp(log_q) - np.exp(log_bayes)).sum(-1)


METRICS["total_variation"] = Metric(
    "Total variation to Bayes", total_variation, unit="1 (probability)", positive=True
)

if __name__ == "__main__":
    from analysis.cli import main

    main()
