"""Whether an answer can be one to its question: "when" asks for a time, "how many" for an amount.

Pure rules for English; what they do not know counts as fitting.
"""

import re

from reliability.matching import NUMBER_WORDS
from reliability.numbers import MONTHS, SCALES, UNITS

_LEAD = r"^\W*(?:(?:since|until|till|by|from|in|on|at|for|to|about) )?"
_ASKS_TIME = re.compile(
    rf"{_LEAD}(?:when\b|(?:what|which) (?:year|date|day|month|century)\b)", re.I
)
_ASKS_AMOUNT = re.compile(
    rf"{_LEAD}how (?:many|much|long|high|tall|deep|wide|far|old|heavy|fast)\b", re.I
)
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_TIME = re.compile(
    # a year, a time of day, a number alone; "1633 metres" is none of them
    rf"\b\d{{3,4}}s?\b(?![.,]\d)(?!\s*(?:{_UNIT})(?!\w))|\d[:.]\d\d\b(?!\s*(?:{_UNIT})(?!\w))"
    r"|\b\d+ ?[ap]\.?m\b|^\W*\d+\W*$"
    rf"|\b(?:{'|'.join(MONTHS)})\b|\b(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b"
    r"|\b(?:mon|tues|wednes|thurs|fri|satur|sun|week|to|yester|holi)?days?\b|\bdaily\b"
    r"|\b(?:seconds?|minutes?|hours?|weeks?|weekends?|months?|years?|decades?|century|centuries)\b"
    r"|\b(?:spring|summer|autumn|fall|winter|easter|christmas|night|morning|noon|afternoon)s?\b"
    r"|\b(?:evening|midnight|tomorrow|now|never|always|ago|before|during|since|until|past)\b"
    r"|\bafter\b(?! all\b)"
    r"|\bo['’]clock\b|\b(?:ages?|era|war|reign|while|once|soon|later|earlier|recently)\b",
    re.IGNORECASE,
)
_WORDS_OF_AMOUNT = (
    *("zero", "no", "none", "nothing", "nobody", "free", "one", "half", "quarter", "dozens?"),
    *("hundreds?", *(f"{scale}s?" for scale in SCALES), r"\w+teen", r"\w+ty(?:-\w+)?"),
    *(*NUMBER_WORDS, *(unit for unit in UNITS if len(unit) > 2)),
)
_AMOUNT = re.compile(rf"\d|\b(?:{'|'.join(_WORDS_OF_AMOUNT)})\b", re.IGNORECASE)


def is_of_kind(answer: str, question: str) -> bool:
    """False where a time or an amount was asked and `answer` has none."""
    if _ASKS_TIME.search(question):
        return _TIME.search(answer) is not None
    if _ASKS_AMOUNT.search(question):
        return (_AMOUNT.search(answer) or _TIME.search(answer)) is not None
    return True
