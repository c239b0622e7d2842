"""Calibration of one model: proofs, then the smallest ratio whose drift keeps to the target.

On one half of the questions every policy is tried at rising ratios; the first ratio at which one
keeps to the target is taken to the other half, which nothing was chosen on (kv_reuse.md 5.11).
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.decoder.calibration import Calibration
from app.errors import InvalidValue
from app.evaluation.bench_model import Bench
from app.evaluation.datasets import QuestionCase
from app.evaluation.reuse_quality import Arm, Outcome, ReuseEvaluation, summarise
from kvstore.config import ReuseConfig
from kvstore.keys import ModelIdentity
from kvstore.policies import find_policy
from kvstore.proofs import KL_TOLERANCE, Proof, prove
from kvstore.store_proofs import prove_store
from kvstore.types import Encoding

LOW_RATIOS, HIGH_RATIOS = (0.05, 0.15), (0.3, 0.5)
GATE_QUESTIONS = 20  # of proof P9, at most: the record says how many
SMALLEST_SPLIT = 8  # below it an interval over questions says nothing
# How many ratios may be tried on the second half. Each try accepts a model that does not keep to
# the target with a probability of at most 2.5 %, so two of them with 5 %.
TRIES = 2

Row = Mapping[str, object]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. `questions` are those of each half; `encodings` those that are served, in
    order of preference, `head` after them."""

    target: float
    policies: tuple[str, ...]
    questions: int
    answer_tokens: int
    encodings: tuple[Encoding, ...] = ("primed",)
    keep_share: float = 1.0  # of a chunk's tokens, as served (`kv_keep_share`)

    def __post_init__(self) -> None:
        if not self.target > 0:
            raise InvalidValue(f"the target must be above 0, not {self.target}")
        if self.questions < SMALLEST_SPLIT:
            raise InvalidValue(f"calibration needs at least {SMALLEST_SPLIT} questions a half")
        for name in self.policies:
            find_policy(name)

    def arm(self, policy: str, ratio: float) -> Arm:
        return Arm("+".join(self.encodings), policy, ratio)

    def arm_of(self, row: Row) -> Arm:
        return self.arm(str(row["policy"]), number(row, "ratio"))


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was measured; `chosen` None where nothing kept to the target. `halves_by`:
    what the halves of the questions have not in common, documents or only questions."""

    proofs: tuple[Proof, ...]
    searched: tuple[Row, ...] = ()
    confirmed: tuple[Row, ...] = ()
    chosen: Row | None = None
    halves_by: str = "question"

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(proof.name for proof in self.proofs if not proof.passed)


class Calibrator:
    def __init__(self, bench: Bench, identity: ModelIdentity, plan: Plan) -> None:
        self._bench = bench
        self._identity = identity
        self._plan = plan
        served = "+".join(plan.encodings)
        self._evaluation = ReuseEvaluation(bench, plan.answer_tokens, (served,), plan.keep_share)

    def run(self, cases: Sequence[QuestionCase], progress: Progress) -> Findings:
        """Raises InvalidValue where there are too few cases; `progress` gets lines to show."""
        halves, by = split(cases, self._plan.questions)
        progress("proofs P1 to P8")
        proofs = self._prove()
        if not all(proof.passed for proof in proofs):
            return Findings(tuple(proofs), halves_by=by)
        searched, exact = self._search(halves[0], progress)
        proofs.append(gate_proof(exact, self._bench))
        if not proofs[-1].passed:
            return Findings(tuple(proofs), tuple(searched), halves_by=by)
        confirmed = self._confirm(halves, searched, progress)
        is_kept = bool(confirmed) and keeps(confirmed[-1], self._plan.target)
        chosen = confirmed[-1] if is_kept else None
        return Findings(tuple(proofs), tuple(searched), tuple(confirmed), chosen, by)

    def _confirm(
        self, halves: Sequence[Sequence[QuestionCase]], searched: list[Row], progress: Progress
    ) -> list[Row]:
        """Rows on the second half, the last one kept to the target or none did. Larger ratios are
        searched, and put to `searched`, once no small one is left to try."""
        confirmed: list[Row] = []
        tried = -1.0
        has_searched_all = False
        while len(confirmed) < TRIES:
            left = [
                c for c in candidates(searched, self._plan.target) if number(c, "ratio") > tried
            ]
            if left:
                tried = number(left[0], "ratio")
                progress(f"confirming {left[0]['policy']} at {tried:g}")
                confirmed += self._measure(halves[1], [self._plan.arm_of(left[0])], progress)
                if keeps(confirmed[-1], self._plan.target):
                    break
            elif has_searched_all:
                break
            else:
                progress("no smaller ratio keeps to the target: larger ones")
                searched += self._measure(halves[0], self._arms(HIGH_RATIOS), progress)
                has_searched_all = True
        return confirmed

    def _prove(self) -> list[Proof]:
        proofs = prove(self._bench.runner)
        with tempfile.TemporaryDirectory(prefix="larder-proofs-") as folder:
            return proofs + prove_store(self._bench.runner, self._identity, Path(folder) / "kv")

    def _search(
        self, cases: Sequence[QuestionCase], progress: Progress
    ) -> tuple[list[Row], list[Outcome]]:
        """Rows of small ratios on the first half, and what recomputing everything gave (P9)."""
        everything = self._plan.arm("all", 1.0)
        arms = [everything, self._plan.arm("none", 0.0), *self._arms(LOW_RATIOS)]
        progress("questions of the first half")
        outcomes = self._outcomes(cases, arms, progress)
        exact = outcomes.pop(everything)
        return [*summarise(outcomes)], exact

    def _arms(self, ratios: Sequence[float]) -> list[Arm]:
        return [self._plan.arm(policy, ratio) for ratio in ratios for policy in self._plan.policies]

    def _measure(
        self, cases: Sequence[QuestionCase], arms: Sequence[Arm], progress: Progress
    ) -> list[Row]:
        return [*summarise(self._outcomes(cases, arms, progress))]

    def _outcomes(
        self, cases: Sequence[QuestionCase], arms: Sequence[Arm], progress: Progress
    ) -> dict[Arm, list[Outcome]]:
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            progress(f"question {done} of {len(cases)}")

        return self._evaluation.run(cases, arms, count)


def split(
    cases: Sequence[QuestionCase], questions: int
) -> tuple[tuple[list[QuestionCase], list[QuestionCase]], str]:
    """Two halves that ask about different documents, where there are enough of them, and
    "document"; else two without a question in common, and "question". Raises InvalidValue where
    there are too few."""
    if len(cases) < 2 * questions:
        raise InvalidValue(
            f"{len(cases)} questions are too few for two halves of {questions}; name a larger set "
            "or ask for fewer with --questions"
        )
    first = _documents_of_half(cases)
    one, two = ([c for c in cases if (c.document in first) is side] for side in (True, False))
    if min(len(one), len(two)) >= questions:
        return (one[:questions], two[:questions]), "document"
    return (list(cases[:questions]), list(cases[questions : 2 * questions])), "question"


def _documents_of_half(cases: Sequence[QuestionCase]) -> set[str]:
    """About half of the cases: those with the most questions go first, to the smaller half."""
    sizes = Counter(case.document for case in cases)
    half: set[str] = set()
    for document, size in sizes.most_common():
        if 2 * (sum(sizes[name] for name in half) + size) <= len(cases) + 1:
            half.add(document)
    return half


def candidates(rows: Sequence[Row], target: float) -> list[Row]:
    """The best policy of each ratio that keeps to the target, smallest ratio first."""
    best: dict[float, Row] = {}
    for row in sorted(rows, key=lambda row: number(row, "kl_mean")):
        if keeps(row, target):
            best.setdefault(number(row, "ratio"), row)
    return [best[ratio] for ratio in sorted(best)]


def keeps(row: Row, target: float) -> bool:
    """Whether the upper end of the interval of the mean drift is within the target."""
    return number(row, "kl_high") <= target


def number(row: Row, name: str) -> float:
    return float(str(row[name]))


def gate_proof(exact: Sequence[Outcome], bench: Bench) -> Proof:
    """P9: on real questions, everything recomputed is the full prefill."""
    worst = max(outcome.kl for outcome in exact[:GATE_QUESTIONS])
    return Proof("P9 questions", worst <= KL_TOLERANCE[bench.runner.dtype], worst)


def conclude(
    findings: Findings, plan: Plan, identity: ModelIdentity, about: Mapping[str, object]
) -> Calibration:
    """The record. `about`: data set, machine, model name and the like."""
    row = findings.chosen
    evidence = {
        **about,
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "questions": plan.questions,
        "halves_by": findings.halves_by,
        "p9_questions": min(GATE_QUESTIONS, plan.questions),
        "answer_tokens": plan.answer_tokens,
        "proofs": [proof.as_dict() for proof in findings.proofs],
        "searched": [dict(row) for row in findings.searched],
        "confirmed": [dict(row) for row in findings.confirmed],
    }
    default = ReuseConfig()
    return Calibration(
        identity=identity.digest,
        allowed=row is not None,
        summary=summary(findings, plan),
        policy=default.policy if row is None else str(row["policy"]),
        ratio=default.ratio if row is None else number(row, "ratio"),
        encodings=tuple(dict.fromkeys((*plan.encodings, "head"))),
        target=plan.target,
        evidence=evidence,
    )


def summary(findings: Findings, plan: Plan) -> str:
    """One sentence for people: what was found and what it means."""
    row = findings.chosen
    if row is not None:
        return (
            f"The policy {row['policy']} at ratio {number(row, 'ratio'):g} keeps the mean drift at "
            f"{number(row, 'kl_mean'):.3f} nats a token, at most {number(row, 'kl_high'):.3f} of "
            f"the allowed {plan.target:g}."
        )
    if findings.failed:
        failed = ", ".join(findings.failed)
        return f"The proof {failed} failed, so reuse would give wrong answers on this machine."
    best = min((number(row, "kl_high") for row in findings.searched), default=float("nan"))
    if findings.confirmed:
        return (
            f"What kept to {plan.target:g} nats on one half of the questions did not on the other; "
            "more questions (--questions) or a larger --target may settle it."
        )
    return (
        f"No policy kept the mean drift below {plan.target:g} nats a token (the best came to at "
        f"most {best:.3f}), so only exact reuse is served; --target allows more."
    )
