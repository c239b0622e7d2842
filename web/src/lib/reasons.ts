/** The server's reason codes in words. An unknown code is shown as it is, with spaces. */

const REASONS: Record<string, string> = {
  exact_prefix: "Instructions come first in every prompt, so their stored copy is exact.",
  first_chunk: "Stands directly behind the instructions, where its stored copy is exact.",
  reused_primed: "Stored as a passage behind other passages, then moved to its place.",
  reused_head: "Stored on its own behind the instructions, then moved to its place.",
  reused_alone: "Stored by itself, then moved to its place.",
  reused_neutral: "Stored behind passages about nothing in particular, then moved to its place.",
  reused_mean: "Stored as a mean over several neighbours, then moved to its place.",
  reused_medoid: "Stored behind the most ordinary of several neighbours, then moved to its place.",
  reused_variant: "Kept from an earlier prompt with other passages, then moved to its place.",
  slower_than_compute: "Fetching the stored copy would have taken longer than computing it.",
  not_calibrated: "Nobody has measured how far this model drifts, so only exact reuse is served.",
  drift_over_limit: "Answers drifted too far when they were checked, so only exact reuse is served.",
  holdout: "Drawn to run without reuse, so that first-token times can be compared.",
  not_stored: "Not in the store yet, so it was computed.",
  corrupt: "The stored copy was damaged and set aside, so it was computed.",
  mode_off: "Reuse was switched off for this answer.",
  mode_exact: "Only exact reuse was asked for.",
  too_short: "Too few tokens for reuse to pay.",
  exact_not_proven: "The exactness checks have not passed on this model, so nothing is reused.",
  model_not_proven: "The exactness checks have not passed on this model, so only exact reuse is served.",
  model_unsupported: "This model's attention cannot take moved passages, so only exact reuse is served.",
  link: "Link tokens join the passages, so they are always computed.",
  question: "A question is new, so it is always computed.",
  reuse: "Stored passages were reused.",
  nothing_stored: "No passage of this prompt was in the store.",
  proven: "The exactness checks have passed on this model.",
  vote: "Each passage was asked alone, directly behind the instructions, where its stored copy is exact.",
  disk_budget: "The disk budget is used up.",
};

export function explain(code: string): string {
  if (code === "") return "";
  const known = REASONS[code];
  if (known) return known;
  const words = code.replaceAll(/[_-]+/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Of "code: sentence"; a bare code has no sentence. */
export function parseReason(reason: string): { code: string; sentence: string } {
  const at = reason.indexOf(": ");
  return at < 0 ? { code: reason, sentence: "" } : { code: reason.slice(0, at), sentence: reason.slice(at + 2) };
}

export const TIER_NAMES: Record<string, string> = {
  ram: "Memory",
  disk: "Disk",
  device: "GPU",
  valkey: "Valkey, shared",
  s3: "S3, shared",
};

export const ENCODING_NAMES: Record<string, string> = {
  alone: "by itself",
  head: "on its own",
  neutral: "behind neutral passages",
  primed: "primed",
  mean: "mean of several",
  medoid: "most ordinary of several",
  variant: "from an earlier prompt",
};

export const nameOf = (names: Record<string, string>, value: string) => names[value] ?? value;
