"""What the coursework asks, row by row, and what the student's report of 2018 has for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """A row of the coursework. report: the report's own figures, empty where none are known."""

    number: int
    title: str
    asked: str
    report: str = ""

    @property
    def step(self) -> str:
        """The name of what answers it: the stem of its file, and what a link to it names."""
        return f"row-{self.number}"


# The step after all rows; that of a row is its ``Asked.step``.
MISTAKES = "mistakes"

ROWS: dict[int, Asked] = {
    row.number: row
    for row in (
        Asked(
            1,
            "Data",
            "MNIST split into 55,000 train, 5,000 validation and 10,000 test images, scaled to [0, 1], "
            "binarised with 0.1 < pixel, read as 784 pixels from top-left to bottom-right.",
        ),
        Asked(
            2,
            "Many-to-many model",
            "At each step input pixel x_t, output p(x_t+1 = 1): LSTM or GRU with 32 units, ReLU, fully "
            "connected 64, ReLU, fully connected, sigmoid.",
            "Two read-out layers of 64 units instead of one, and no ReLU straight after the cell.",
        ),
        Asked(
            3,
            "Training",
            "Adam with learning rate 0.001, batch 256, 5 epochs; convergence takes 25 to 30.",
            "Training takes about an hour.",
        ),
        Asked(
            4,
            "Cross-entropy and accuracy",
            "Cross-entropy on train and test and pixel accuracy at 0, 1 and 5 epochs; learning curves "
            "of at least 20 points.",
            "0.6926, 0.1480, 0.1136 nats a pixel and accuracy 82.8%, 93.7%, 95.4% at 0, 1, 5 epochs: "
            "labelled test, but the values are those of one training batch. Another public solution: "
            "0.1024 with a GRU of 32 units after about 48 epochs, with batch statistics of the test set "
            "leaking in.",
        ),
        Asked(
            5,
            "Continuation",
            "100 test images without their last 300 pixels: sample the next 1, 10, 28 and 300 pixels; "
            "cross-entropy of the samples, averaged over 10 for more than one pixel, and of the ground "
            "truth, at 0 epochs, 1 epoch and the end; discuss short against long.",
        ),
        Asked(
            6,
            "Pictures of continuations",
            "Three images (success, failure, high variance between samples), each with 5 samples of 10, "
            "28 and 300 pixels and 1 of 1 pixel: 48 in all.",
        ),
        Asked(
            7,
            "In-painting, one pixel missing",
            "Given past and future pixels: p(x_k given the rest) by scoring both completions.",
        ),
        Asked(
            8,
            "In-painting, a 2 x 2 patch missing",
            "The same with all 16 completions.",
        ),
        Asked(
            9,
            "Both, on two files of 1,000 test images",
            "Arrays (2, 1000, 784): the images with -1 for missing pixels, then the ground truth. What "
            "is missing is told from the pixels: the original files' names are swapped.",
        ),
        Asked(
            10,
            "Most probable in-painting",
            "Show it, compare its cross-entropy with the ground truth's, explain the difference.",
        ),
        Asked(
            11,
            "Process",
            "p ~ Dirichlet(alpha) over 3 symbols; T-1 draws from Categorical(p); the symbol RESET; then "
            "a new p, for ever.",
        ),
        Asked(
            12,
            "Model",
            "LSTM with 32 units, ReLU, fully connected 64, ReLU, fully connected 4, softmax: the next "
            "symbol at every step.",
        ),
        Asked(
            13,
            "Four models",
            "M1: T=5, M2: T=20 with alpha=(10,1,1). M3: T=5, M4: T=20 with alpha=(1.3,1.3,1.3). Unroll "
            "100, batch 64, 1,000 iterations. Train and test loss every 10 to 20 iterations: are the "
            "curves smooth, do they plateau?",
        ),
        Asked(
            14,
            "Three test streams",
            "(1) tasks from alpha=(10,1,1), (2) from (1.3,1.3,1.3), (3) always p=(1,0,0); T=5 with M1 "
            "and M3, T=20 with M2 and M4. Loss, and predicted probabilities over time; M2 against M4, "
            "and both against M1 and M3.",
        ),
        Asked(
            15,
            "Exact Bayes",
            "Closed-form posterior after every symbol, predictive of the next, back to the prior at "
            "RESET; test stream 3 under both priors.",
        ),
        Asked(
            16,
            "Network against Bayes",
            "T=20, M2 and M4: what agrees, where it fails, why.",
        ),
        Asked(
            17,
            "Thought questions",
            "What is learnt with alpha=(10,1,1) and with (1.1,1.1,1.1); T=1 and T=infinity; how "
            "learning and generalisation to unseen p depend on T and on the unroll length, for both "
            "priors; does a longer T make prediction harder?",
            "A symmetric Dirichlet(1.1) is said to concentrate p at 1/3. It does not: it is close to "
            "uniform over p.",
        ),
        Asked(
            18,
            "Hidden state",
            "Visualise it; its eigenvalues; how many directions matter; what they correspond to.",
        ),
    )
}


def asked_in(step: str) -> Asked | None:
    """The row that a step answers; None for ``MISTAKES``."""
    return next((row for row in ROWS.values() if row.step == step), None)
