"""The read path: a question in, a stream of events out, the run stored.

Knows no HTTP, no SQL and no model; each step is one call into the part that does the work.
"""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import anyio

from app.answer import convert
from app.answer.citations import cite
from app.answer.explain import explain_run
from app.answer.protocols import (
    Assessor,
    Beliefs,
    Decoder,
    Judge,
    Meanings,
    Retriever,
    TopicBeliefs,
)
from app.answer.record import RunRecord
from app.answer.stopwatch import Stopwatch
from app.answer.trust import with_trust
from app.answer.types import (
    AnswerEvent,
    AnswerFinish,
    Cited,
    Completed,
    Delta,
    Failed,
    Question,
    Retrieved,
    RunStarted,
    Trust,
)
from app.answer.verdict import Basis, claim_of, heard_in_answer, judge_passages
from app.answer.vote import SourceVote, fitting_alone
from app.answer.wire import JsonObject
from app.db.chunks import Chunks
from app.db.collections import Collections
from app.db.rows import CollectionRow, NewRun, PassageRow, RunTokens
from app.db.runs import Runs
from app.decoder.types import DecodeRequest, Finished, Prefilled, TokenText
from app.errors import InvalidValue, LarderError
from kvstore.errors import InvalidReuse
from kvstore.order import warm_order
from reliability.assessor import RANK_BETA
from reliability.standing import Standing
from reliability.types import Assessment
from retrieval.errors import RetrievalError
from retrieval.types import Query, ScoredChunk

# Passages shown beside those in the prompt: enough to see what nearly made it.
NUM_RUNNERS_UP = 3
# A vote hears sources, not passages: it looks deeper, and takes the best few of each.
VOTE_DEPTH = 3
MOST_OF_A_SOURCE = 2

log = logging.getLogger(__name__)


class AnswerPipeline:
    def __init__(
        self,
        *,
        collections: Collections,
        chunks: Chunks,
        runs: Runs,
        retriever: Retriever,
        assessor: Assessor,
        decoder: Decoder,
        beliefs: Beliefs,
        meanings: Meanings,
        topics: TopicBeliefs,
        num_passages: int,
        trust: Trust = "weighted",
        trust_bias: float = 0.0,
        judge: Judge | None = None,
    ) -> None:
        self._collections = collections
        self._chunks = chunks
        self._runs = runs
        self._retriever = retriever
        self._assessor = assessor
        self._decoder = decoder
        self._beliefs = beliefs
        self._meanings = meanings
        self._topics = topics
        self._num_passages = num_passages
        self._trust = trust
        self._trust_bias = trust_bias
        self._judge = judge

    async def answer(self, question: Question) -> AsyncGenerator[AnswerEvent, None]:
        """Events from `RunStarted` to `Completed` or `Failed`; closing early stops the model.

        What is wrong with the question itself is raised before the first event.
        """
        collection = await self._collections.find(question.collection)
        self._check(question)
        trust = question.trust or self._trust
        run_id = await self._runs.start(_new_run(question, trust, collection, self._decoder.name))
        record = RunRecord(await self._beliefs.version())
        try:
            async with aclosing(self._events(question, trust, collection, run_id)) as events:
                async for event in events:
                    record.note(event)
                    yield event
        finally:
            # The reader has gone, perhaps by cancelling us: what happened is stored all the same.
            with anyio.CancelScope(shield=True):
                await self._runs.finish(run_id, record.result())

    async def explain(self, run_id: str, without: Sequence[str] = ()) -> JsonObject:
        """Why that run's answer was believed, and what it would be without some sources."""
        run = await self._runs.get(run_id)
        log, owners = await self._beliefs.observations(), await self._beliefs.owners()
        return explain_run(run, log, without, owners)

    def _check(self, question: Question) -> None:
        self._decoder.check_fits(convert.to_request(question, ()))
        try:
            self._decoder.check_reuse(question.reuse)
        except InvalidReuse as error:
            raise InvalidValue(str(error)) from error

    async def _events(
        self, question: Question, trust: Trust, collection: CollectionRow, run_id: str
    ) -> AsyncGenerator[AnswerEvent, None]:
        yield RunStarted(run_id, collection.name, question.reuse.mode, self._decoder.name, trust)
        try:
            async with aclosing(self._steps(question, trust, collection, run_id)) as events:
                async for event in events:
                    yield event
        except (LarderError, RetrievalError) as error:
            yield Failed(run_id, error.code, getattr(error, "status", 500), str(error))
        except Exception:
            log.exception("run %s failed", run_id)
            yield Failed(
                run_id, "internal_error", 500, "Something broke here; the log has details."
            )

    async def _steps(
        self, question: Question, trust: Trust, collection: CollectionRow, run_id: str
    ) -> AsyncGenerator[AnswerEvent, None]:
        watch = Stopwatch()
        standing = await self._beliefs.standing()
        scored, rows = await self._retrieve(question, trust, collection, standing.version)
        now = await self._beliefs.standing()
        if now.version != standing.version:  # beliefs of two versions would be mixed
            standing = now
            scored, rows = await self._retrieve(question, trust, collection, standing.version)
        watch.lap("retrieve")
        yield _retrieved(scored, rows)

        assessment = self._assess(trust, scored, rows)
        kept = self._warm_first(scored, [rows[chunk_id] for chunk_id in assessment.kept])
        request = self._fill_prompt(question, trust, kept)
        basis = await self._basis(question, trust, collection, request, standing)
        watch.lap("assess")
        yield convert.to_assessed(assessment, request, rows)

        if not request.passages:
            text = _no_match_text(collection)
            yield Delta(text)
            yield _completed(run_id, text, "no_match", watch)
            return

        passages = [rows[passage.chunk_id] for passage in request.passages]
        if trust == "vote":
            votes = SourceVote(self._decoder, self._num_passages, basis, watch, self._judge)
            steps = votes.run(run_id, request, passages)
        else:
            steps = self._write(run_id, request, passages, basis, watch)
        async with aclosing(steps) as events:
            async for event in events:
                yield event

    async def _basis(
        self,
        question: Question,
        trust: Trust,
        collection: CollectionRow,
        request: DecodeRequest,
        standing: Standing,
    ) -> Basis:
        limit = self._meanings.last_limit(collection.id)
        asked = [passage.chunk_id for passage in request.passages]
        return Basis(
            question.text,
            trust,
            version=standing.version,
            calibration=standing.calibration,
            copiers=standing.copiers,
            cosine_limit=limit,
            vectors={} if limit is None else await self._meanings.of(asked),
        )

    async def _retrieve(
        self, question: Question, trust: Trust, collection: CollectionRow, version: int
    ) -> tuple[list[ScoredChunk], dict[int, PassageRow]]:
        """Ranked chunks and their rows; a chunk deleted in between is in neither."""
        limit = self._num_passages + NUM_RUNNERS_UP
        depth = limit * VOTE_DEPTH if trust == "vote" else limit
        query = Query(question.text, collection.id, depth, question.filter)
        found = await self._retriever.search(query)
        passages = await self._chunks.passages([scored.chunk_id for scored in found])
        if trust == "vote":
            passages = few_of_each(passages, limit)
        believed = await self._topics.on_topic(question.text, version)
        rows = {row.chunk_id: convert.on_topic(row, believed) for row in passages}
        return [scored for scored in found if scored.chunk_id in rows], rows

    def _assess(
        self, trust: Trust, scored: Sequence[ScoredChunk], rows: Mapping[int, PassageRow]
    ) -> Assessment:
        """In a vote all that was found may be asked; how many are is decided as they answer."""
        evidence = [convert.to_evidence(item, rows[item.chunk_id]) for item in scored]
        posteriors = {row.source_id: convert.to_posterior(row) for row in rows.values()}
        limit = len(evidence) if trust == "vote" else self._num_passages
        beta = 0.0 if trust == "plain" else RANK_BETA
        return self._assessor.assess(evidence, posteriors, limit, beta=beta)

    def _warm_first(
        self, scored: Sequence[ScoredChunk], kept: Sequence[PassageRow]
    ) -> list[PassageRow]:
        """What the cache holds first among passages that are equally relevant (kvstore.order)."""
        relevance = {item.chunk_id: item.score for item in scored}
        warm = self._decoder.warm(convert.to_passages(kept))
        scores = [relevance[row.chunk_id] for row in kept]
        spots = [(row.document_id, row.start) for row in kept]
        return [kept[place] for place in warm_order(scores, warm, spots)]

    def _fill_prompt(
        self, question: Question, trust: Trust, kept: Sequence[PassageRow]
    ) -> DecodeRequest:
        """In a vote each passage has a prompt of its own, and must fit that."""
        request = convert.to_request(question, kept)
        if trust == "vote":
            return fitting_alone(request, self._decoder)
        return self._decoder.trim_passages(with_trust(request, kept, trust, self._trust_bias))

    async def _write(
        self,
        run_id: str,
        request: DecodeRequest,
        passages: Sequence[PassageRow],
        basis: Basis,
        watch: Stopwatch,
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Prefill, text, then citations and the verdict, which need the whole answer."""
        texts: list[str] = []
        prefilled: Prefilled | None = None
        finished: Finished | None = None
        async with aclosing(self._decoder.answer(request)) as events:
            async for event in events:
                match event:
                    case Prefilled():
                        prefilled = event
                        watch.note_prefill(event)
                        yield convert.to_planned(event, passages)
                    case TokenText():
                        watch.note_text()
                        texts.append(event.text)
                        yield Delta(event.text)
                    case Finished():
                        finished = event
        if prefilled is None or finished is None:
            raise RuntimeError("the decoder ended without Prefilled or Finished")
        answer = "".join(texts)
        citations = tuple(cite(answer, passages))
        for citation in citations:
            yield Cited(citation)
        heard = heard_in_answer(basis.question, answer, citations, passages)
        yield judge_passages(heard, basis, stated=claim_of(answer, citations))
        yield Completed(
            run_id=run_id,
            answer=answer,
            finish_reason=finished.reason,
            citations=citations,
            tokens=convert.to_run_tokens(prefilled.report.tokens, finished.num_generated),
            timings_ms=watch.timings_ms(),
            full_prefill_ms_estimate=prefilled.full_prefill_ms_estimate,
        )


def _new_run(question: Question, trust: Trust, collection: CollectionRow, model: str) -> NewRun:
    return NewRun(
        question=question.text,
        collection_id=collection.id,
        collection=collection.name,
        model=model,
        mode=question.reuse.mode,
        policy=question.reuse.policy,
        ratio=question.reuse.ratio,
        trust=trust,
    )


def few_of_each(passages: Sequence[PassageRow], limit: int) -> list[PassageRow]:
    """The first `limit`, at most so many of one source; one source alone keeps all of them."""
    taken: Counter[int] = Counter()
    kept: list[PassageRow] = []
    over: list[PassageRow] = []
    for row in passages:
        taken[row.source_id] += 1
        (kept if taken[row.source_id] <= MOST_OF_A_SOURCE else over).append(row)
    return [*kept, *over][:limit]


def _retrieved(scored: Sequence[ScoredChunk], rows: Mapping[int, PassageRow]) -> Retrieved:
    return Retrieved(
        tuple(
            convert.to_ranked(rank, item, rows[item.chunk_id])
            for rank, item in enumerate(scored, start=1)
        )
    )


def _completed(run_id: str, text: str, finish_reason: AnswerFinish, watch: Stopwatch) -> Completed:
    return Completed(run_id, text, finish_reason, (), RunTokens(), watch.timings_ms(), 0.0)


def _no_match_text(collection: CollectionRow) -> str:
    if collection.documents == 0:
        return f"The collection “{collection.name}” has no documents yet. Add some and ask again."
    if collection.chunks == 0:
        return f"The documents of “{collection.name}” are still being read. Ask again in a moment."
    return (
        f"Nothing in the collection “{collection.name}” matches this question. "
        "Other words may find it, or the answer is not in these documents."
    )
