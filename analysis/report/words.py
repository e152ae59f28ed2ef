"""What the quantities of a report mean, in a sentence each, and where the documentation defines them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from typing import NamedTuple


class Word(NamedTuple):
    """A quantity. found: a pattern of what tables call it. page, title, anchor: where the documentation
    defines it."""

    name: str
    found: str
    meaning: str
    page: str
    title: str
    anchor: str = ""

    @property
    def key(self) -> str:
        """Its name as an anchor of a page."""
        return "word-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


_LOSS = ("notation", "Notation", "loss-gap-share")
# In the order in which a page lists them; the first that fits a text is linked from it.
WORDS = (
    Word(
        "share of the gap closed",
        r"share of the gap closed|^closed$|gap closed",
        "1 - gap(network) / gap(memoryless): 1 is Bayes, 0 a predictor without memory.",
        *_LOSS,
    ),
    Word(
        "regret",
        r"\bregret\b",
        "The loss above that of a predictor which cannot be beaten on average: the oracle, which "
        "knows what a task hides, or Bayes.",
        *_LOSS,
    ),
    Word(
        "gap",
        r"\bgaps?\b|KL\(Bayes",
        "Mean KL(Bayes || predictor) in nats at the places where a symbol is drawn: what the predictor "
        "loses to exact inference.",
        *_LOSS,
    ),
    Word(
        "leak and miss",
        r"\bleak\b|\bmiss\b",
        "Leak: the probability of RESET where none comes. Miss: 1 less it where one comes.",
        *_LOSS,
    ),
    Word(
        "Brier score",
        r"brier",
        "Half the squared distance of the probabilities from what came; 0 is certain and right.",
        *_LOSS,
    ),
    Word(
        "cross-entropy",
        r"cross-entropy|nats a pixel|nats an image",
        "Mean of -log p of what came, in nats: a pixel given those before it.",
        "pixels",
        "Pixels",
    ),
    Word(
        "loss",
        r"\bloss(es)?\b",
        "Mean of -log q of what came, in nats.",
        *_LOSS,
    ),
    Word(
        "posterior over missing pixels",
        r"posterior over the missing|most probable|missing pixel",
        "p(missing pixels | all observed ones), past and future: every filling weighed by the network.",
        "inpainting",
        "In-painting",
    ),
    Word(
        "reference predictors",
        r"^predictor$|memoryless|laplace|oracle",
        "Exact predictors that know less, or more, than Bayes: a ladder beside the network.",
        "notation",
        "Notation",
        "the-reference-ladder",
    ),
    Word(
        "probe",
        r"\bprobe|R²|R\^2|directions",
        "A linear map from the hidden state to what Bayes holds, judged on streams it has not seen.",
        "hidden-state",
        "Hidden state",
    ),
    Word(
        "calibration",
        r"calibra",
        "Whether what is given probability p comes in a share p of cases.",
        "audit",
        "Audit",
        "is-the-implied-future-calibrated",
    ),
    Word(
        "interval",
        r"95%",
        "95%: over test streams by bootstrap, or over seeds by Student's t; the note says which.",
        "notation",
        "Notation",
    ),
)


def word_of(text: str) -> Word | None:
    """The quantity that a cell or head of a table names, if it does."""
    return next((w for w in WORDS if re.search(w.found, text, re.IGNORECASE)), None)


def words_of(texts: Iterable[str]) -> list[Word]:
    """The quantities that texts name, in the order of ``WORDS``."""
    named = {word for text in texts if (word := word_of(text)) is not None}
    return [word for word in WORDS if word in named]


def link(word: Word) -> str | None:
    """The address of its page of the documentation; None where nobody has said where that is.

    META_LEARN_DOCS says it, a folder or an address of the built pages; else the package's metadata.
    """
    base = os.environ.get("META_LEARN_DOCS") or _published()
    if not base:
        return None
    return f"{base.rstrip('/')}/{word.page}.html" + (f"#{word.anchor}" if word.anchor else "")


@cache
def _published() -> str:
    try:
        urls = metadata("meta-learn").get_all("Project-URL") or []
    except PackageNotFoundError:
        return ""
    pairs = (url.split(", ", 1) for url in urls)
    return next((pair[1] for pair in pairs if pair[0] == "Documentation"), "")
