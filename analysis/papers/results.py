"""Papers and what was found of them as JSON: ``meta-learn papers --json``."""

from __future__ import annotations

from collections.abc import Iterable

from analysis.papers.paper import Findings, How, Paper
from analysis.report.report import Document


def entry(paper: Paper, findings: Findings | None = None, how: How | None = None) -> Document:
    """A paper with its claims; after a run also with our numbers, and what they come from."""
    ours = {} if findings is None else findings.ours
    out = {
        "name": paper.name,
        "title": paper.title,
        "authors": paper.authors,
        "arxiv": paper.arxiv,
        "claims": [claim.document(ours.get(claim.key)) for claim in paper.claims],
        "setting": paper.setting,
        "assumed": list(paper.assumed),
        "differs": list(paper.differs),
    }
    if findings is None or how is None:
        return out
    return out | {
        "quick": how.quick,
        "seeds": list(findings.seeds),
        "curves": findings.curves,
    }


def document(entries: Iterable[Document]) -> Document:
    """What ``--json`` prints."""
    return {"papers": list(entries)}
