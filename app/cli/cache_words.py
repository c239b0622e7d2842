"""What a cache job did and what an entry stood behind, in words. Pure; prints nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby

OWN_MARKS = ("after", "complete")  # a job's place to go on from, and a state told in other words
OF_SEVERAL = frozenset({"mean", "medoid"})


def told(result: Mapping[str, object]) -> str:
    """One line; what has no value is left out."""
    parts = [
        f"{name} {value:,}" if isinstance(value, int | float) else f"{name} {value}"
        for name, value in result.items()
        if name not in OWN_MARKS and value is not None
    ]
    if result.get("complete") is False:
        parts.append("a tier could not be asked")
    return ", ".join(parts)


def behind_in_words(names: Sequence[str]) -> str:
    """`names` as the API gives them: "prefix + 2 primers", or "mean of: ...; ..."."""
    if not names or names[0] not in OF_SEVERAL:
        return _counted(names)
    contexts = [
        _counted(list(members))
        for is_mark, members in groupby(names[1:], key=lambda name: name == "behind")
        if not is_mark
    ]
    return f"{names[0]} of: {'; '.join(contexts)}"


def _counted(names: Sequence[str]) -> str:
    counts = Counter(names)  # in the order in which they came
    return " + ".join(name if count == 1 else f"{count} {name}s" for name, count in counts.items())
