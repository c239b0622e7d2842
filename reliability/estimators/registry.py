"""The table of estimators: a new one is a file with the same verbs and a line here."""

from collections.abc import Callable

from reliability.errors import UnknownEstimator
from reliability.estimators.beta_em import BetaEm
from reliability.estimators.dawid_skene import DawidSkene
from reliability.estimators.larder import LarderEstimator
from reliability.estimators.majority import Majority
from reliability.estimators.protocol import Estimator
from reliability.estimators.ra_rag import RaRag
from reliability.estimators.truthfinder import TruthFinder
from reliability.estimators.two_sided import TwoSided

ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "majority": Majority,
    "ra_rag": RaRag,
    "beta_em": BetaEm,
    "truthfinder": TruthFinder,
    "dawid_skene": DawidSkene,
    "two_sided": lambda: TwoSided(count_copies_once=False),
    "larder": LarderEstimator,
}


def make_estimator(name: str, *, takes_several: bool = False) -> Estimator:
    """The estimator `name`; "larder" is the two-sided model where questions have several truths."""
    if name == "larder" and takes_several:
        return TwoSided(count_copies_once=True)
    if name not in ESTIMATORS:
        raise UnknownEstimator(f"unknown estimator {name!r}; known: {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]()
