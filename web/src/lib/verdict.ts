/** A verdict in words. Pure functions, no React. */
import type { Explanation, JudgedAnswer, Verdict } from "../api/types";
import { formatPercent, plural } from "./format";

type Decided = Pick<Verdict | Explanation, "kind" | "probability" | "calibration">;
type Worded = Pick<Verdict, "kind" | "probability" | "answers" | "trust">;

const HEADLINES: Record<Verdict["kind"], string> = {
  answer: "Supported",
  several: "Several answers hold",
  disagree: "Sources disagree",
  low_support: "Low support",
  abstain: "No passage states an answer",
};

const TONES: Record<Verdict["kind"], "good" | "doubtful" | "none"> = {
  answer: "good",
  several: "good",
  disagree: "doubtful",
  low_support: "doubtful",
  abstain: "none",
};

/** An answer is written before it is judged, except in a vote, which then gives none. */
const isUnstated = ({ kind, trust }: Worded) => kind === "abstain" && trust !== "vote";

/** How much a reader should worry: nothing, some, or there is no answer. */
export const tone = (verdict: Worded) => (isUnstated(verdict) ? "doubtful" : TONES[verdict.kind]);

/** "Low support" is for low chances; a fair one may lack a second piece of evidence only. */
export function headline(verdict: Worded): string {
  const { kind, probability, answers } = verdict;
  if (isUnstated(verdict)) return "No passage states this";
  const isThin = kind === "low_support" && answers[0]?.wording === "thin";
  const words = isThin ? "One piece of evidence" : HEADLINES[kind];
  return probability === null ? words : `${words}, ${formatPercent(probability)}`;
}

/** How the share is to be read, and how much that rests on; null where there is none. */
export function chanceNote({ probability, calibration }: Decided): string | null {
  if (probability === null) return null;
  if (calibration === null) return "The weight of the evidence, not calibrated.";
  if (calibration.origin === "worlds")
    return "A chance calibrated on made-up questions; too few answers were judged here yet.";
  const thumbs = calibration.thumbs > 0 ? ` and ${plural(calibration.thumbs, "thumb", "thumbs")}` : "";
  const answers = plural(calibration.answers, "answer", "answers");
  return `A chance calibrated on ${answers} that people judged here${thumbs}.`;
}

const familiesOf = (answers: readonly JudgedAnswer[]) =>
  answers.reduce((sum, answer) => sum + answer.families, 0);

/** "2 pieces of evidence for it, 1 for something else" */
export function balance(verdict: Pick<Verdict, "answers" | "others">): string {
  const behind = plural(familiesOf(verdict.answers), "piece", "pieces");
  const against = familiesOf(verdict.others);
  return `${behind} of evidence for it${against > 0 ? `, ${against} for something else` : ""}`;
}

/** What leaving out these sources did; null while none is left out. */
export function changed(before: Explanation | null, now: Explanation): string | null {
  if (before === null || now.without.length === 0) return null;
  const same =
    before.kind === now.kind &&
    before.answers.map((a) => a.answer).join("\n") === now.answers.map((a) => a.answer).join("\n");
  return same ? "the outcome stays the same." : "the outcome changes.";
}
