"""From the votes of families to a decision: abstain, one answer, several, or "sources disagree"."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from reliability.arrays import FloatArray
from reliability.calibration import Calibrator
from reliability.errors import InvalidObservation
from reliability.posterior import lower_quantile
from reliability.special import digamma
from reliability.types import BetaPosterior
from reliability.voting import COPY_SHARE, MIN_WRONG_ANSWERS

ACCEPT = 0.7  # tau, until labelled questions say better (judged.learn_threshold)
CLOSE = 0.2  # the two best are nearer than this: sources disagree
WELL_KNOWN = 0.8  # one family suffices where its source's 10 % quantile lies above
LEAST_WEIGHT, MOST_WEIGHT = -1.0, 4.0
NEW_WEIGHT = math.log(2)  # most a newcomer's word adds: a new name is cheap

DecisionKind = Literal["abstain", "answer", "several", "disagree", "low_support"]
Wording = Literal["likely", "contested", "thin"]


@dataclass(frozen=True, slots=True)
class Vote:
    """One passage's word: its source, evidence family, answer cluster, and how surely it says so.

    `sense` is the entity the passage speaks of, where a question names several.
    """

    passage_id: int
    source: int
    family: int
    answer: str
    alignment: float = 1.0
    sense: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.alignment <= 1:
            raise InvalidObservation(f"alignment must lie in [0, 1], not at {self.alignment}")


@dataclass(frozen=True, slots=True)
class AnswerBelief:
    """One answer, its calibrated chance, and who stands behind it."""

    answer: str
    sense: str
    chance: float
    families: tuple[int, ...]
    sources: tuple[int, ...]
    wording: Wording


@dataclass(frozen=True, slots=True)
class Decision:
    """`answers` are given (both sides where sources disagree); `all_answers` were heard."""

    kind: DecisionKind
    answers: tuple[AnswerBelief, ...]
    all_answers: tuple[AnswerBelief, ...]
    is_calibrated: bool


@dataclass(frozen=True, slots=True)
class DecisionConfig:
    accept: float = ACCEPT
    wrong_options: float = MIN_WRONG_ANSWERS
    takes_several: bool = False
    calibrator: Calibrator | None = None
    newcomers: frozenset[int] = frozenset()  # sources of whom little is known
    stated: str | None = None  # by a text that was written before it was judged


def decide(
    votes: Sequence[Vote],
    posteriors: Mapping[int, BetaPosterior],
    config: DecisionConfig | None = None,
    *,
    without: Collection[int] = (),
) -> Decision:
    """Weigh stored votes; `without` leaves sources out, which needs no new decoding."""
    config = config or DecisionConfig()
    heard = [vote for vote in votes if vote.source not in without and vote.alignment > 0]
    found = _beliefs(heard, posteriors, config)
    beliefs = tuple(sorted(found, key=lambda b: (-b.chance, b.answer != config.stated)))
    kind, given = _choose(beliefs, posteriors, config)
    return Decision(kind, given, beliefs, config.calibrator is not None)


def _beliefs(
    votes: Sequence[Vote], posteriors: Mapping[int, BetaPosterior], config: DecisionConfig
) -> list[AnswerBelief]:
    """Each sense is a question of its own; within one, one answer excludes the others, except where
    several are wanted."""
    senses: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        senses[vote.sense].append(vote)
    found = []
    for sense, group in senses.items():
        scores = answer_scores(group, posteriors, config)
        for answer, chance in zip(scores, _chances(scores, config), strict=True):
            behind = [vote for vote in group if vote.answer == answer]
            families = tuple(sorted({vote.family for vote in behind}))
            sources = tuple(sorted({vote.source for vote in behind}))
            wording: Wording = "thin" if len(families) < 2 else "likely"
            wording = "contested" if chance < config.accept else wording
            found.append(AnswerBelief(answer, sense, chance, families, sources, wording))
    return found


def vote_weight(posterior: BetaPosterior, wrong_options: float, *, is_new: bool = False) -> float:
    """What a source's word adds in nats: psi(A) - psi(B) + ln n, bounded at both ends."""
    psi = digamma(np.array([posterior.alpha, posterior.beta]))
    odds = min(float(psi[0] - psi[1]), MOST_WEIGHT)
    weight = max(LEAST_WEIGHT, odds + math.log(max(1.0, wrong_options)))
    return min(weight, NEW_WEIGHT) if is_new else weight


def answer_scores(
    votes: Sequence[Vote], posteriors: Mapping[int, BetaPosterior], config: DecisionConfig
) -> dict[str, float]:
    """Sum of family votes an answer: the best member counts whole, the others a twentieth."""
    options = config.wrong_options
    if not config.takes_several:  # in a list other answers are no errors
        options = max(options, float(len({vote.answer for vote in votes})))
    cast: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for vote in votes:
        belief = posteriors.get(vote.source, BetaPosterior(1, 1))
        is_new = vote.source in config.newcomers
        weight = vote.alignment * vote_weight(belief, options, is_new=is_new)
        members = cast[vote.answer, vote.family]
        members[vote.source] = max(weight, members.get(vote.source, -math.inf))
    once: dict[tuple[str, int], float] = defaultdict(float)
    totals: dict[str, float] = defaultdict(float)
    for (answer, family), members in cast.items():
        best = max(members.values())
        once[answer, family] = best + COPY_SHARE * (sum(members.values()) - best)
        totals[answer] += once[answer, family]
    return dict(sorted(totals.items()))


def _chances(scores: Mapping[str, float], config: DecisionConfig) -> list[float]:
    """Softmax with room for answers nobody gave, then calibrated. Where several are wanted, each
    answer is weighed as if it had been the only one."""
    if config.takes_several and len(scores) > 1:
        alone = replace(config, takes_several=False)
        return [_chances({name: score}, alone)[0] for name, score in scores.items()]
    values: FloatArray = np.array(list(scores.values()), dtype=np.float64)
    spare = max(0.0, max(config.wrong_options, len(values)) + 1 - len(values))
    top = max(float(values.max(initial=0.0)), 0.0)
    raised = np.exp(values - top)
    chance = raised / (raised.sum() + spare * math.exp(-top))
    if config.calibrator is not None:
        chance = config.calibrator(chance)
        chance = chance / max(1.0, float(chance.sum()))  # one answer excludes the others
    return [float(value) for value in chance]


def _choose(
    beliefs: tuple[AnswerBelief, ...],
    posteriors: Mapping[int, BetaPosterior],
    config: DecisionConfig,
) -> tuple[DecisionKind, tuple[AnswerBelief, ...]]:
    """What `stated` is: where anybody says it, the decision is about it and no other answer."""
    if not beliefs:
        return "abstain", ()
    own = [b for b in beliefs if b.answer == config.stated] or beliefs
    sure = [b for b in own if b.chance >= config.accept and _is_supported(b, posteriors)]
    if len(sure) > 1 and (config.takes_several or len({b.sense for b in sure}) > 1):
        return "several", tuple(sure)
    best = own[0]
    others = () if config.takes_several else beliefs  # a list contradicts nothing
    rival = next((b for b in others if _is_rival(b, best)), None)
    if rival is not None and best.chance - rival.chance < CLOSE:
        return "disagree", (best, rival)
    if sure:
        return "answer", (sure[0],)
    return "low_support", (best,)


def _is_rival(belief: AnswerBelief, best: AnswerBelief) -> bool:
    """Another answer that other sources stand behind: nobody disagrees with himself."""
    is_other = belief.sense == best.sense and belief.answer != best.answer
    return is_other and belief.sources != best.sources


def _is_supported(belief: AnswerBelief, posteriors: Mapping[int, BetaPosterior]) -> bool:
    """Two independent families, or one with a source known to be good."""
    known = (posteriors[s] for s in belief.sources if s in posteriors)
    return len(belief.families) >= 2 or any(lower_quantile(p, 0.1) > WELL_KNOWN for p in known)
