"""Which passage says what the answer says. Pure: text in, citations out; no model, no database.

Attribution happens after generation, because a small model does not write markers reliably. Each
sentence of the answer is matched with the passages' sentences by the share of its information
they contain: a token weighs by how rare it is among the passages, a number twice that. A figure
that a passage does not have is a no, however much of the wording it has.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from app.answer.figures import (
    Figures,
    agree,
    contradict,
    figures,
    has_all,
    named_in,
    plain_number,
    without_markers,
)
from app.answer.sentences import Span, sentence_spans
from app.answer.types import Citation
from app.db.rows import PassageRow

# Half of a sentence's information has to be in the passage. Below, matches on the demo collection
# were sentences that share the topic but not the claim.
THRESHOLD = 0.5
# A second sentence joins the quote when it explains this much more of the answer's sentence.
PAIR_GAIN = 0.15
NUMBER_WEIGHT = 2.0
# So much of a sentence's words, numbers aside, make a passage with other numbers contradict it.
SAME_CLAIM = 0.75
MIN_COMMON_WORDS = 3

_TOKEN = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)?")
# "The passages do not say ..." shares words with a passage, but nothing there says it.
_SILENCE = re.compile(
    r"\b(?:do(?:es)? not|don['’]t|doesn['’]t) (?:\w+ )?"
    r"(?:say|mention|contain|provide|give|state|include|specify|describe|answer)\b"
    r"|\bno information\b|\bcannot be answered\b|\bnot (?:mentioned|stated|specified|provided)\b",
    re.IGNORECASE,
)


def cite(answer: str, passages: Sequence[PassageRow]) -> list[Citation]:
    """Citations in the answer's order; passages are numbered by first use, best passage first."""
    index = _PassageIndex(passages)
    numbers: dict[int, int] = {}
    citations: list[Citation] = []
    spans = sentence_spans(answer)
    for span in spans:
        sentence = answer[span.start : span.end]
        if len(spans) > 1 and _says_little(sentence):
            continue
        match = index.best_match(sentence)
        if match is None:
            continue
        number = numbers.setdefault(match.passage.chunk_id, len(numbers) + 1)
        citations.append(citation(number, span, match.passage, match.quote))
    return citations


@dataclass(frozen=True, slots=True)
class Stance:
    """What one passage has to a sentence: `agrees`, or says the same with other numbers."""

    passage: PassageRow
    quote: str
    score: float  # share of the sentence's information that the quote has, 0 to 1
    agrees: bool


def stances(sentence: str, passages: Sequence[PassageRow], question: str = "") -> list[Stance]:
    """The passages that state `sentence`, and those that contradict it; others are left out.

    A contradiction is seen in numbers only: nearly all the same words, and not one number shared.
    Numbers of the question say what is spoken of: whoever has others speaks of something else.
    """
    index, about = _PassageIndex(passages), named_in(question)
    found = (index.stance(sentence, passage, about) for passage in passages)
    return [stance for stance in found if stance]


def says_nothing(sentence: str) -> bool:
    """Whether it only says that something is not known."""
    return _SILENCE.search(sentence) is not None


def _says_little(sentence: str) -> bool:
    """One or two words and no number: a heading, or what was cut off at the answer's end."""
    found = tokens(sentence)
    return len(found) < 3 and not any(token[0].isdigit() for token in found)


@dataclass(frozen=True, slots=True)
class _Match:
    passage: PassageRow
    quote: Span  # into the passage's text
    score: float


@dataclass(frozen=True)
class _Sentence:
    span: Span
    tokens: frozenset[str]


@dataclass(frozen=True)
class _PassageIndex:
    passages: Sequence[PassageRow]

    @cached_property
    def _sentences(self) -> list[list[_Sentence]]:
        return [
            [_Sentence(s, tokens(p.text[s.start : s.end])) for s in sentence_spans(p.text)]
            for p in self.passages
        ]

    @cached_property
    def _frequencies(self) -> Counter[str]:
        return Counter(
            token for sentences in self._sentences for s in sentences for token in s.tokens
        )

    @cached_property
    def _num_sentences(self) -> int:
        return sum(len(sentences) for sentences in self._sentences)

    def best_match(self, sentence: str) -> _Match | None:
        """The passage stretch that covers `sentence` best; None where none covers it enough."""
        weights = self._weights(sentence)
        if says_nothing(sentence) or not weights.keys() & self._frequencies.keys():
            return None
        best: _Match | None = None
        for passage, sentences in zip(self.passages, self._sentences, strict=True):
            match = _best_in_passage(passage, sentences, weights, figures(sentence), has_all)
            if match is not None and (best is None or match.score > best.score):
                best = match
        return best

    def stance(
        self, sentence: str, passage: PassageRow, about: Collection[str] = ()
    ) -> Stance | None:
        weights = self._weights(sentence)
        if says_nothing(sentence) or not weights:
            return None
        sentences, claim = self._sentences[self.passages.index(passage)], figures(sentence)
        match = _best_in_passage(passage, sentences, weights, claim, has_all)
        if match is None and claim.dates:
            years = {token: weight for token, weight in weights.items() if token not in claim.fine}
            match = _best_in_passage(passage, sentences, years, claim, agree)
        if match is not None:
            quote = passage.text[match.quote.start : match.quote.end]
            return Stance(passage, quote, match.score, True)
        return self._contradiction(passage, sentences, weights, claim, about)

    def _contradiction(
        self,
        passage: PassageRow,
        sentences: "list[_Sentence]",
        weights: dict[str, float],
        claim: Figures,
        about: Collection[str],
    ) -> Stance | None:
        said = {token: w for token, w in weights.items() if token not in claim.fine}
        words = {token: w for token, w in said.items() if not token[0].isdigit()}
        if not claim.numbers or len(words) < MIN_COMMON_WORDS:
            return None
        total = sum(words.values())
        for sentence in sentences:
            quote = passage.text[sentence.span.start : sentence.span.end]
            score = _covered(words, sentence.tokens) / total
            if score >= SAME_CLAIM and contradict(figures(quote), claim, about):
                return Stance(passage, quote, score, False)
        return None

    def _weights(self, sentence: str) -> dict[str, float]:
        return {token: self._weight(token) for token in tokens(without_markers(sentence))}

    def _weight(self, token: str) -> float:
        rarity = math.log1p((self._num_sentences + 0.5) / (self._frequencies[token] + 0.5))
        return rarity * (NUMBER_WEIGHT if token[0].isdigit() else 1.0)


def tokens(text: str) -> frozenset[str]:
    """Words and numbers without case, plural s and thousands separators."""
    return frozenset(_normalise(token) for token in _TOKEN.findall(text))


def _normalise(token: str) -> str:
    if token[0].isdigit():
        return plain_number(token)
    word = re.sub(r"['’]s$", "", token.casefold())
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _best_in_passage(
    passage: PassageRow,
    sentences: list[_Sentence],
    weights: dict[str, float],
    claim: Figures,
    states: Callable[[Figures, Figures], bool],
) -> _Match | None:
    """The best sentence, with its neighbour where the two say clearly more than one.

    Only what has the claim's figures, as `states` sees it, may be one; the title counts as said.
    """
    total = sum(weights.values())

    def score(span: Span, present: frozenset[str]) -> float:
        covered = _covered(weights, present) / total
        if covered < THRESHOLD:
            return 0.0
        has = figures(f"{passage.title}\n{passage.text[span.start : span.end]}")
        return covered if states(has, claim) else 0.0

    single = pair = 0.0
    quote: Span | None = None
    pair_quote: Span | None = None
    for position, sentence in enumerate(sentences):
        found = score(sentence.span, sentence.tokens)
        if found > single:
            single, quote = found, sentence.span
        if position + 1 < len(sentences):
            follower = sentences[position + 1]
            both = Span(sentence.span.start, follower.span.end)
            found = score(both, sentence.tokens | follower.tokens)
            if found > pair:
                pair, pair_quote = found, both
    if pair_quote is not None and pair >= single + PAIR_GAIN:
        single, quote = pair, pair_quote
    return None if quote is None else _Match(passage, quote, single)


def _covered(weights: dict[str, float], present: frozenset[str]) -> float:
    return sum(weight for token, weight in weights.items() if token in present)


def citation(number: int, answer: Span, passage: PassageRow, quote: Span) -> Citation:
    """`answer` is a stretch of the answer, `quote` one of the passage's text."""
    return Citation(
        number=number,
        answer_start=answer.start,
        answer_end=answer.end,
        chunk_id=passage.chunk_id,
        document_id=passage.document_id,
        title=passage.title,
        source=passage.source,
        reliability=passage.reliability,
        start=passage.start + quote.start,
        end=passage.start + quote.end,
        page=passage.page_at(passage.start + quote.start),
        quote=passage.text[quote.start : quote.end],
    )
