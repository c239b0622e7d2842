"""Larder's own estimator: one-coin EM that counts copies once, hears people, and knows time.

Adds to `beta_em`: class priors, evidence families, labels as anchors (the start whose trust
explains the labels best wins), posteriors a source and topic, decay, a second belief for a source
that turned, and a cap on what one day's probes can move. A claim nobody cross-checked teaches
little.
"""

import numpy as np

from reliability.arrays import FloatArray
from reliability.estimators.larder_fit import Fitted, LarderFit
from reliability.estimators.larder_votes import LarderConfig, cast_votes, log_odds, vote_chances
from reliability.estimators.protocol import Estimate
from reliability.table import ClaimTable
from reliability.tolerance import merge_close, report_members
from reliability.voting import scores, wrong_answers

__all__ = ("LarderConfig", "LarderEstimator")

NEW_WEIGHT = float(np.log(2))  # most a source on probation adds: a new name is cheap


class LarderEstimator:
    name = "larder"
    takes_several = False

    def __init__(self, config: LarderConfig | None = None) -> None:
        self._config = config or LarderConfig()

    def fit(self, table: ClaimTable) -> Estimate:
        merged = merge_close(table).table
        runs = [self._run(merged)]
        if np.any(table.value_label != 0):
            runs.append(self._run(merged, labels_first=True))
        runs += [other for _, fitted in runs if (other := self._other_camp(merged, fitted))]
        fit, best = max(runs, key=lambda run: run[0].plausibility(run[1]))
        return self._estimate(table, fit, best)

    def predict(self, table: ClaimTable, estimate: Estimate) -> FloatArray:
        merged = merge_close(table)
        known, options = estimate.claim_weights(table), estimate.wrong_options
        is_new = estimate.claim_observations(table) < self._config.probation
        rarity = np.log(wrong_answers(merged.table, options))[merged.table.claim_question]
        weight = np.where(is_new, np.minimum(known, NEW_WEIGHT - rarity), known)
        chance = vote_chances(merged.table, weight, options, with_labels=True)
        votes = scores(table, cast_votes(table, known, options), count_copies_once=True)
        return report_members(merged, chance, votes)

    def _run(self, table: ClaimTable, *, labels_first: bool = False) -> tuple[LarderFit, Fitted]:
        fit = LarderFit(table, self._config)
        return fit, fit.run(fit.trust_from_labels() if labels_first else fit.prior_trust())

    def _other_camp(self, table: ClaimTable, fitted: Fitted) -> tuple[LarderFit, Fitted] | None:
        fit = LarderFit(table, self._config)
        start = fit.trust_in_fewer_turned(fitted.since)
        return None if start is None else (fit, fit.run(start))

    def _estimate(self, table: ClaimTable, fit: LarderFit, fitted: Fitted) -> Estimate:
        now, told = fit.current_rows(), fit.widened(fitted)
        prior = self._config.prior
        weight = fitted.beliefs.weights()[now]
        return Estimate(
            estimator=self.name,
            sources=table.sources,
            topics=table.topics or ("",),
            alpha=told.alpha[now],
            beta=told.beta[now],
            weight=weight,
            silence=np.zeros_like(weight),
            default_weight=float(log_odds(np.array(prior.alpha), np.array(prior.beta))),
            rounds=fitted.rounds,
            wrong_options=fitted.options,
            observed=fit.observed(),
            turned_since=fitted.since,
            learned_from=table,
            learned_weights=fitted.claim_weights,
        )
