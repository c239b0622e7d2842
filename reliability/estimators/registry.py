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
    "two_sided": TwoSided,
    "larder": LarderEstimator,
}


def make_estimator(name: str) -> Estimator:
    if name not in ESTIMATORS:
        raise UnknownEstimator(f"unknown estimator {name!r}; known: {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]()
