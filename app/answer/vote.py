"""The read path of `vote`: each passage is asked alone, then their answers are weighed.

A passage directly behind the prefix is exact as stored, so asking is cheap; that its source speaks
alone means that no other text can talk it into anything.
"""

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from app.answer import convert
from app.answer.protocols import Decoder, Judge
from app.answer.short_answers import (
    INSTRUCTION,
    ShortAnswer,
    asks_for_several,
    read_answer,
    senses,
)
from app.answer.stopwatch import Stopwatch
from app.answer.types import (
    AnswerEvent,
    CachePlanned,
    Cited,
    Completed,
    Delta,
    JudgedAnswer,
    Verdict,
)
from app.answer.verdict import (
    Basis,
    Heard,
    alignment_of,
    cast_votes,
    heard_in_votes,
    judge_passages,
    to_vote,
)
from app.answer.vote_citations import cite_votes, spokesman
from app.db.rows import PassageRow
from app.decoder.quotes import OpenPair
from app.decoder.types import DecodeRequest, Voted, VotePrefilled
from app.errors import ServerBusy
from kvstore.vote import BranchReport
from reliability.alignment import Alignment
from reliability.decision import DecisionConfig, vote_weight
from reliability.families.find import find_families
from reliability.families.types import Passage
from reliability.prior import prior_with_mean
from reliability.selection import FamilyVote, select
from reliability.settled import is_settled
from reliability.voting import MIN_WRONG_ANSWERS

MAX_TOKENS = 48  # of one source's answer
MAX_ROUND = 8  # prompts in one forward
MAX_NAMED = 3  # sources of one side, in the answer's text
MAX_JUDGED = 8  # passages of one vote that a model is asked about: the reader waits for it
ABSTENTION = "The passages do not answer this."


def fitting_alone(request: DecodeRequest, decoder: Decoder) -> DecodeRequest:
    """The passages that fit a prompt of their own."""
    alone = (replace(_asked(request), passages=(passage,)) for passage in request.passages)
    fits = [one.passages[0] for one in alone if decoder.trim_passages(one).passages]
    return replace(request, passages=tuple(fits))


def _asked(request: DecodeRequest) -> DecodeRequest:
    """The question as each source gets it: the answer is short and ends with its line."""
    most = min(MAX_TOKENS, request.params.max_tokens)
    params = replace(request.params, max_tokens=most, stop=(*request.params.stop, "\n"))
    return replace(request, question=f"{request.question}\n{INSTRUCTION}", params=params)


@dataclass(slots=True)
class _Asked:
    """What was asked so far, in the order asked."""

    rows: list[PassageRow] = field(default_factory=list)
    reports: list[BranchReport] = field(default_factory=list)
    answers: list[ShortAnswer | None] = field(default_factory=list)
    judged: dict[tuple[int, str], Alignment] = field(default_factory=dict)
    generated: int = 0
    prefill_ms: float = 0.0
    estimate_ms: float = 0.0


class SourceVote:
    """One question's vote. `kappa`: so many families that spoke are enough."""

    def __init__(
        self,
        decoder: Decoder,
        kappa: int,
        basis: Basis,
        watch: Stopwatch,
        judge: Judge | None = None,
    ) -> None:
        self._decoder = decoder
        self._judge = judge
        self._kappa = kappa
        self._basis = basis
        self._watch = watch
        self._asked = _Asked()

    async def run(
        self, run_id: str, request: DecodeRequest, passages: Sequence[PassageRow]
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Ask round by round until more answers cannot change the winner, then answer."""
        asked, families = self._asked, known_families(passages)
        left = by_weight(passages, families)
        while left and not is_decided(
            self._basis, self._heard(), asked.rows, passages, families, self._kappa
        ):
            size = min(max(1, self._kappa), MAX_ROUND)
            yield await self._ask(request, left[:size])
            await self._judge_open(request, left[:size])
            left = left[size:]
        verdict = replace(judge_passages(self._heard(), self._basis), unasked=len(left))
        answer = compose(verdict)
        self._watch.note_text()
        yield Delta(answer)
        citations = tuple(cite_votes(answer, verdict, asked.rows))
        for citation in citations:
            yield Cited(citation)
        yield verdict
        counts = convert.add_tokens([report.tokens for report in asked.reports])
        yield Completed(
            run_id=run_id,
            answer=answer,
            finish_reason="stop",
            citations=citations,
            tokens=convert.to_run_tokens(counts, asked.generated),
            timings_ms=self._watch.timings_ms(),
            full_prefill_ms_estimate=asked.estimate_ms,
        )

    def _heard(self) -> list[Heard]:
        said = list(zip(self._asked.rows, self._asked.answers, strict=True))
        return heard_in_votes(self._basis.question, said, self._asked.judged)

    async def _judge_open(self, request: DecodeRequest, rows: Sequence[PassageRow]) -> None:
        """Ask models about answers of this round that wording leaves open, while some may be asked.

        Where the server is busy the wording's word stands.
        """
        asked = self._asked
        room = MAX_JUDGED - len(asked.judged)
        if self._judge is None or room <= 0:
            return
        of_chunk = {passage.chunk_id: passage for passage in request.passages}
        said = list(zip(asked.rows, asked.answers, strict=True))[-len(rows) :]
        pairs = [
            OpenPair(self._basis.question, answer.core, of_chunk[row.chunk_id], row.text)
            for row, answer in said
            if answer is not None and alignment_of(row, answer, {}).is_open
        ][:room]
        try:
            found = await self._judge.judge(pairs) if pairs else []
        except ServerBusy:
            return
        for pair, alignment in zip(pairs, found, strict=True):
            asked.judged[pair.passage.chunk_id, pair.answer] = alignment

    async def _ask(self, request: DecodeRequest, rows: Sequence[PassageRow]) -> CachePlanned:
        """Ask these passages at once; what all prompts so far came to."""
        of_chunk = {passage.chunk_id: passage for passage in request.passages}
        alone = _asked(request)
        requests = [replace(alone, passages=(of_chunk[row.chunk_id],)) for row in rows]
        asked, answers = self._asked, dict[int, ShortAnswer | None]()
        async with aclosing(self._decoder.vote(requests)) as events:
            async for event in events:
                match event:
                    case VotePrefilled():
                        asked.reports += event.reports
                        asked.prefill_ms += event.prefill_ms
                        asked.estimate_ms += event.full_prefill_ms_estimate
                        self._watch.note_vote(event)
                    case Voted():
                        answers[event.place] = read_answer(event.text, request.question)
                        asked.generated += event.num_generated
        if len(answers) != len(rows):
            raise RuntimeError("the decoder ended without an answer of each source")
        asked.rows += rows
        asked.answers += [answers[place] for place in range(len(rows))]
        return convert.to_vote_planned(
            request.reuse.mode, asked.reports, asked.rows, asked.prefill_ms, asked.estimate_ms
        )


def known_families(passages: Sequence[PassageRow]) -> dict[int, int]:
    """Family of each chunk by what is known before anybody answered: copies by text."""
    texts = [Passage(row.chunk_id, row.source_id, row.text) for row in passages]
    return dict(find_families(texts).family_of)


def _weights(passages: Sequence[PassageRow], families: Mapping[int, int]) -> dict[int, float]:
    """The vote of each family's best member, in nats."""
    weights: dict[int, float] = {}
    for row in passages:
        belief = prior_with_mean(row.reliability, row.strength)
        weight = vote_weight(belief, MIN_WRONG_ANSWERS, is_new=row.is_new)
        family = families[row.chunk_id]
        weights[family] = max(weight, weights.get(family, -math.inf))
    return weights


def by_weight(passages: Sequence[PassageRow], families: Mapping[int, int]) -> list[PassageRow]:
    """Families from the heaviest to the lightest, in the order in which `select` walks them."""
    weights = _weights(passages, families)
    return sorted(
        passages, key=lambda row: (-weights[families[row.chunk_id]], families[row.chunk_id])
    )


def is_decided(
    basis: Basis,
    heard: Sequence[Heard],
    asked: Sequence[PassageRow],
    passages: Sequence[PassageRow],
    families: Mapping[int, int],
    kappa: int,
) -> bool:
    """Whether `select` would end among the families that were asked: as many spoke as are wanted,
    or the rest cannot change the verdict's leading answer."""
    said = {families[item.row.chunk_id]: item.answer for item in heard}
    weights = _weights(passages, families)
    votes = [FamilyVote(family, weight, said.get(family)) for family, weight in weights.items()]
    done = {families[row.chunk_id] for row in asked}
    done -= {families[row.chunk_id] for row in passages if row not in asked}
    selected = select(votes, kappa=kappa)
    if not set(selected.asked) <= done:
        return False
    return selected.reason != "decided" or _cannot_turn(basis, heard, asked, passages)


def _cannot_turn(
    basis: Basis,
    heard: Sequence[Heard],
    asked: Sequence[PassageRow],
    passages: Sequence[PassageRow],
) -> bool:
    """By the rule of the verdict itself. Titles that part senses leave it open."""
    if len(set(senses(basis.question, [row.title for row in passages]))) > 1:
        return False
    beliefs = {row.source_id: prior_with_mean(row.reliability, row.strength) for row in passages}
    spoken = {row.chunk_id for row in asked}
    left = [row.source_id for row in passages if row.chunk_id not in spoken]
    votes, _ = cast_votes(heard, basis)
    newcomers = frozenset(row.source_id for row in passages if row.is_new)
    takes_several = asks_for_several(basis.question)
    config = DecisionConfig(takes_several=takes_several, newcomers=newcomers)
    return is_settled([to_vote(vote) for vote in votes], left, beliefs, config)


def compose(verdict: Verdict) -> str:
    """The answer in words. Several stand in lines of their own; of two sides both are told."""
    if not verdict.answers:
        return ABSTENTION
    if verdict.kind == "several":
        return "\n".join(f"- {_named(answer, verdict)}" for answer in verdict.answers)
    if verdict.kind == "disagree":
        one, other = (
            f"{spokesman(answer, verdict).said} (according to {_listed(answer.sources)})"
            for answer in verdict.answers
        )
        return f"Sources disagree.\n- {one}\n- {other}"
    return spokesman(verdict.answers[0], verdict).said


def _named(answer: JudgedAnswer, verdict: Verdict) -> str:
    said = spokesman(answer, verdict).said
    return f"{answer.sense}: {said}" if answer.sense else said


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:MAX_NAMED])
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
