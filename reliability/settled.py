"""Whether asking more can change which answer leads, whatever those say who were not asked.

Exact against `decide`: more different answers make every vote heavier (ln n), and a source that
says something else with another passage divides its word. Only that a new answer may join two old
ones, or part them, is not foreseen.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reliability.decision import DecisionConfig, Vote, answer_scores, vote_weight
from reliability.types import BetaPosterior

UNKNOWN = BetaPosterior(1, 1)


def is_settled(
    votes: Sequence[Vote],
    left: Sequence[int],
    posteriors: Mapping[int, BetaPosterior],
    config: DecisionConfig | None = None,
) -> bool:
    """`left` has the source of each passage that was not asked. False where several answers are
    wanted, or senses are told apart: there the rest may add to what is given."""
    config = config or DecisionConfig()
    heard = [vote for vote in votes if vote.alignment > 0]
    if not left:
        return True
    if not heard or config.takes_several or len({vote.sense for vote in heard}) > 1:
        return False
    known = len({vote.answer for vote in heard})
    first = max(known, int(config.wrong_options))
    return all(
        _leads(heard, left, posteriors, replace(config, wrong_options=float(options)))
        for options in range(first, max(first, known + len(left)) + 1)
    )


def _leads(
    votes: Sequence[Vote],
    left: Sequence[int],
    posteriors: Mapping[int, BetaPosterior],
    config: DecisionConfig,
) -> bool:
    """Whether the leading answer at its weakest beats every other at its strongest. A source that
    is believed less than chance speaks against what it says."""
    scores = answer_scores(votes, posteriors, config)
    leader = max(scores, key=scores.__getitem__)
    divided, options = Counter(left), config.wrong_options

    def weight(source: int) -> float:
        belief = posteriors.get(source, UNKNOWN)
        return vote_weight(belief, options, is_new=source in config.newcomers)

    # Dividing its word costs the leader a vote for it, and another answer a vote against it.
    worst = answer_scores(
        [
            replace(vote, alignment=vote.alignment / (1 + divided[vote.source]))
            if (weight(vote.source) > 0) == (vote.answer == leader)
            else vote
            for vote in votes
        ],
        posteriors,
        config,
    )
    swing = sum(abs(weight(source)) for source in left)  # for another, or against the leader
    others = [worst[answer] for answer in scores if answer != leader]
    return worst[leader] > max([0.0, *others]) + swing
