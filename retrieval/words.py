"""Which words of a question carry content. English function words only; knows no index."""

import re

_WORD = re.compile(r"\w+(?:['’]\w+)?")

_FUNCTION_WORDS = frozenset(
    {
        *(
            "a",
            "about",
            "after",
            "again",
            "all",
            "also",
            "am",
            "an",
            "and",
            "any",
            "are",
            "as",
            "at",
        ),
        *(
            "be",
            "because",
            "been",
            "before",
            "being",
            "between",
            "both",
            "but",
            "by",
            "can",
            "could",
        ),
        *("did", "do", "does", "doing", "don't", "during", "each", "explain", "few", "for", "from"),
        *("get", "give", "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his"),
        *(
            "how",
            "i",
            "if",
            "in",
            "into",
            "is",
            "isn't",
            "it",
            "it's",
            "its",
            "just",
            "know",
            "many",
        ),
        *(
            "may",
            "me",
            "might",
            "more",
            "most",
            "much",
            "must",
            "my",
            "no",
            "nor",
            "not",
            "of",
            "off",
        ),
        *(
            "on",
            "only",
            "or",
            "other",
            "our",
            "out",
            "over",
            "own",
            "please",
            "same",
            "say",
            "says",
        ),
        *("she", "should", "so", "some", "such", "tell", "than", "that", "that's", "the", "their"),
        *(
            "them",
            "then",
            "there",
            "these",
            "they",
            "this",
            "those",
            "through",
            "to",
            "too",
            "under",
        ),
        *("until", "up", "very", "was", "we", "were", "what", "what's", "when", "where", "which"),
        *("while", "who", "who's", "whom", "whose", "why", "will", "with", "would", "you", "your"),
    }
)


def content_words(text: str) -> list[str]:
    """Words in order, without those that any English text holds."""
    words = _WORD.findall(text)
    return [word for word in words if word.lower().replace("’", "'") not in _FUNCTION_WORDS]
