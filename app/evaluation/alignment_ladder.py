"""How far models decide what wording leaves open: the decoder's own answers to labelled documents.

An answer is right where it means its document's label; a passage that "states" another one is held
to be misread. Noise states nothing.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from app.answer.short_answers import read_answer
from app.decoder.alignment import AlignmentJudge, Entailment
from app.decoder.ballot import count_votes
from app.decoder.quotes import DecoderQuotes, OpenPair
from app.decoder.types import DecodeRequest, Passage, VoteEvent
from app.evaluation.bench_model import Bench
from app.evaluation.reliability_decoder import BenchReader
from app.evaluation.reliability_documents import Item
from app.evaluation.reliability_reading import named_by_labels
from app.sources.short_answer import short_answer
from kvstore.config import ReuseConfig
from kvstore.types import ReuseOptions, Segment
from reliability.alignment import Alignment, align
from reliability.matching import normal_answer

Row = dict[str, object]
Progress = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Case:
    """What the decoder answered, as estimates and votes take it, and whether it is the label."""

    pair: OpenPair
    is_right: bool


class BenchVoter:
    """Prompts side by side over the bench's engine, as the server's decoder answers a vote."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._engine = bench.engine(ReuseConfig(encodings=("head",)))
        self._engine.prepare()

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        return request  # documents of a set are short

    async def vote(self, requests: Sequence[DecodeRequest]) -> AsyncGenerator[VoteEvent, None]:
        template = self._bench.template
        prompts = [
            [
                Segment("prefix", template.frame.prefix),
                *(Segment("chunk", passage.token_ids) for passage in request.passages),
                Segment("question", template.encode_question(request.question)),
            ]
            for request in requests
        ]
        params = [request.params for request in requests]
        most = max(one.max_tokens for one in params)
        ballot = self._engine.vote(prompts, ReuseOptions(), max_tokens=most)
        ends = self._bench.end_ids
        for voted in count_votes(ballot, params, template.tokenizer, ends, lambda: False):
            yield voted


def read_cases(items: Sequence[Item], reader: BenchReader, progress: Progress) -> list[Case]:
    """Each document's answers; those of both ways to shorten them where they differ."""
    found: dict[tuple[str, str, str], Case] = {}
    encode = reader.bench.template.encode_passage
    for item in items:
        question, labels = item["question"], [*item["gold_answers"], *item["wrong_answers"]]
        for place, document in enumerate(item["documents"]):
            text, raw = document["text"], reader.raw(question, document["text"])
            vote = read_answer(raw, question)
            answers = {short_answer(question, raw), vote.core if vote else None} - {None, ""}
            for answer in map(str, answers):
                named = named_by_labels(question, [answer], labels)[0] or ""
                is_right = normal_answer(named) == normal_answer(document["answer"])
                pair = OpenPair(question, answer, Passage(place, encode("", text)), text)
                found[question, text, answer] = Case(pair, is_right)
        progress()
    return list(found.values())


async def ladder_rows(
    cases: Sequence[Case],
    voter: BenchVoter | None,
    entailment: Entailment | None,
    most: int | None,
) -> list[Row]:
    """A row for each rung and outcome, before and after models were asked about at most `most`."""
    before = [align(case.pair.answer, case.pair.text) for case in cases]
    left = [place for place, one in enumerate(before) if one.is_open][:most]
    judge = AlignmentJudge(DecoderQuotes(voter) if voter else None, entailment)
    after = await judge.judge([cases[place].pair for place in left])
    sure = [place for place, one in enumerate(before) if not one.is_open]
    rows = _rows("sure by wording", [(before[p], cases[p]) for p in sure])
    rows += _rows("open", [(before[p], cases[p]) for p in left])
    return rows + _rows("judged", list(zip(after, (cases[p] for p in left), strict=True)))


def _rows(stage: str, judged: Sequence[tuple[Alignment, Case]]) -> list[Row]:
    found: list[Row] = []
    for rung in sorted({alignment.rung for alignment, _ in judged}):
        for is_stated in (True, False):
            right = [
                case.is_right
                for alignment, case in judged
                if alignment.rung == rung and bool(alignment.score) == is_stated
            ]
            if right:
                found.append(
                    {
                        "stage": stage,
                        "rung": rung,
                        "verdict": "states it" if is_stated else "does not",
                        "pairs": len(right),
                        "answer_right": sum(right),
                        "answer_wrong": len(right) - sum(right),
                    }
                )
    return found
