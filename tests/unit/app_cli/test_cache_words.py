"""The words of `larder cache`."""

from app.cli.cache_words import behind_in_words, told


def test_what_a_job_did() -> None:
    purged = {"entries": 1390, "bytes": 5, "complete": True, "after": 139, "reason": None}
    assert told(purged) == "entries 1,390, bytes 5"
    assert told({"entries": 0, "complete": False}) == "entries 0, a tier could not be asked"
    assert told({"left": 3, "reason": "the disk is full"}) == "left 3, reason the disk is full"


def test_what_an_entry_stood_behind() -> None:
    assert behind_in_words(["prefix"]) == "prefix"
    assert behind_in_words([]) == ""
    assert behind_in_words(["prefix", "primer", "primer"]) == "prefix + 2 primers"
    several = ["mean", "behind", "prefix", "primer", "primer", "behind", "prefix", "primer"]
    assert behind_in_words(several) == "mean of: prefix + 2 primers; prefix + primer"
