"""Votes of sources added up a value, copies once. What the estimators share; learns nothing."""

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_first, group_max, group_sum
from reliability.table import ClaimTable

COPY_SHARE = 0.05  # what each further member of a family adds to the vote of its best one
MIN_WRONG_ANSWERS = 2.0


def family_discount(table: ClaimTable, weight: FloatArray) -> FloatArray:
    """[C] 1 for the best member of each family at a value, `COPY_SHARE` for the others.

    `weight` [C] says who is best. An honest source that was copied keeps its whole vote.
    """
    groups = table.claim_family
    if not len(weight) or int(groups.max()) + 1 == len(groups):
        return np.ones(len(weight))
    first = group_first(groups, weight)
    return np.where(first, 1.0, COPY_SHARE)


def scores(table: ClaimTable, weight: FloatArray, *, count_copies_once: bool) -> FloatArray:
    """[V] sum of claim weights [C] a value."""
    cast = weight * table.claim_weight
    if count_copies_once:
        cast = cast * family_discount(table, cast)
    return group_sum(table.claim_value, cast, len(table.values))


def wrong_answers(table: ClaimTable, learned: float = MIN_WRONG_ANSWERS) -> FloatArray:
    """[Q] plausible wrong values: `learned`, or as many as were seen where those are more."""
    return np.maximum(max(1.0, learned), table.question_values.astype(np.float64))


def learned_wrong_answers(table: ClaimTable, z: FloatArray) -> float:
    """How many wrong values a question has, as if errors fell on them evenly.

    Two wrong claims agree by chance in one of n cases, so n is the expected number of pairs of
    wrong claims over those that agree, given beliefs `z` [V]. Copies are one claim. Two pairs, one
    of them agreeing, stand for what is assumed before any is seen.
    """
    ones = np.ones(len(table.claim_value))
    votes = scores(table, ones, count_copies_once=True)
    total = group_sum(table.value_question, votes, len(table.questions))[table.value_question]
    same = np.maximum(votes * (votes - 1), 0) / 2
    all_same = group_sum(table.value_question, same, len(table.questions))[table.value_question]
    apart = total - votes
    pairs = float((z * np.maximum(apart * (apart - 1), 0) / 2).sum())
    agreeing = float((z * (all_same - same)).sum())
    return (pairs + 2.0) / (agreeing + 1.0)


def chances(table: ClaimTable, score: FloatArray, spare: FloatArray) -> FloatArray:
    """[V] softmax of the scores (nats) within each question.

    `spare` [Q] is the weight of all values that nobody named, each at score 0.
    """
    questions = len(table.questions)
    top = np.maximum(group_max(table.value_question, score, questions), 0.0)
    raised = np.exp(score - top[table.value_question])
    total = group_sum(table.value_question, raised, questions) + spare * np.exp(-top)
    return np.asarray(raised / np.maximum(total, 1e-300)[table.value_question])


def shares(table: ClaimTable, score: FloatArray) -> FloatArray:
    """[V] positive scores as shares of their sum within each question."""
    positive = np.maximum(score, 0.0)
    total = group_sum(table.value_question, positive, len(table.questions))
    return np.asarray(positive / np.maximum(total, 1e-300)[table.value_question])


def winners(table: ClaimTable, score: FloatArray) -> IntArray:
    """[Q] best value of each question, -1 where it has none; of equals the table's first."""
    best = np.full(len(table.questions), -1, dtype=np.int64)
    marks = np.flatnonzero(group_first(table.value_question, score))
    best[table.value_question[marks]] = marks
    return best
