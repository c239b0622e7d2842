"""How a source's reliability enters one prompt: as a bias on its passages, as words, or not at all.

Pure. Token ids of passages never change: that would cost their stored KV.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from app.answer.types import Trust
from app.db.rows import PassageRow
from app.decoder.types import DecodeRequest
from reliability.posterior import lower_quantile
from reliability.prior import prior_with_mean

LEAST_TRUST = 0.1  # the bias of nobody goes below ln(0.1 / best): a doubtful passage stays audible
HIGH, LOW = 0.7, 0.4  # of the mean; what lies between is "medium"
MAX_TITLE = 80


def with_trust(
    request: DecodeRequest, rows: Sequence[PassageRow], trust: Trust, strength: float
) -> DecodeRequest:
    """`request` with biases (`weighted`, where `strength` is above 0) or tags (`tagged`)."""
    if trust == "weighted" and strength > 0:
        pairs = zip(request.passages, biases(rows, strength), strict=True)
        return replace(request, passages=tuple(replace(p, bias=bias) for p, bias in pairs))
    if trust == "tagged":
        tagged = zip(request.passages, rows, strict=True)
        return replace(request, passages=tuple(replace(p, tag=tag(row)) for p, row in tagged))
    return request


def biases(rows: Sequence[PassageRow], strength: float) -> list[float]:
    """strength * ln(R / best R) for each passage: 0 for the best source's, below for others.

    R is the 20 % quantile of the belief, at least 0.1 (CrAM's logit bias, with a belief for the
    credibility).
    """
    trusted = [
        max(LEAST_TRUST, lower_quantile(prior_with_mean(row.reliability, row.strength)))
        for row in rows
    ]
    best = max(trusted, default=1.0)
    return [strength * math.log(value / best) for value in trusted]


def tag(row: PassageRow) -> str:
    """One line on a passage for the question: its title, cut short, and a word."""
    title = re.sub(r"\s+", " ", row.title).strip()[:MAX_TITLE]
    return f"{title}: {trust_word(row.reliability)}"


def trust_word(reliability: float) -> str:
    return "high" if reliability >= HIGH else "medium" if reliability >= LOW else "low"
