"""Which words of its passage say what a source was heard to say: only those are quoted. Pure."""

from collections.abc import Sequence

from app.answer.citations import citation
from app.answer.sentences import Span, sentence_spans
from app.answer.types import Citation, HeardVote, JudgedAnswer, Verdict
from app.db.rows import PassageRow
from reliability.alignment import align


def stating_words(answer: str, text: str) -> str:
    """The sentence of `text` that says `answer` most surely by wording; empty where none does."""
    sentences = [text[span.start : span.end] for span in sentence_spans(text)]
    scores = [align(answer, sentence).score for sentence in sentences]
    best = max(scores, default=0.0)
    return sentences[scores.index(best)] if best > 0 else ""


def spokesman(answer: JudgedAnswer, verdict: Verdict) -> HeardVote:
    """The passage that says it most surely, in the longest words of equal ones."""
    votes = [v for v in verdict.votes if (v.answer, v.sense) == (answer.answer, answer.sense)]
    return max(votes, key=lambda vote: (vote.alignment, len(vote.said), vote.said))


def cite_votes(text: str, verdict: Verdict, rows: Sequence[PassageRow]) -> list[Citation]:
    """Citations of a vote's text, one for each answer that it gives, from the passage it is of."""
    of_chunk = {row.chunk_id: row for row in rows}
    numbers: dict[int, int] = {}
    citations: list[Citation] = []
    end = 0
    for answer in verdict.answers:
        vote = spokesman(answer, verdict)
        start = text.index(vote.said, end)
        end = start + len(vote.said)
        if not vote.quote:
            continue
        row = of_chunk[vote.chunk_id]
        at = row.text.index(vote.quote)
        number = numbers.setdefault(row.chunk_id, len(numbers) + 1)
        quote = Span(at, at + len(vote.quote))
        citations.append(citation(number, Span(start, end), row, quote))
    return citations
