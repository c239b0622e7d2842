/** A plan's segments as stretches of one bar, by what happened to their tokens. */
import type { Segment } from "../api/types";

export type Origin = "exact" | "reused" | "recomputed" | "computed";

export interface Stretch {
  origin: Origin;
  tokens: number;
  start: number; // share of the bar, 0 to 1
  width: number;
  segment: number; // index into the plan's segments
}

/** Recomputed tokens of a stored segment are spread over it; the bar shows them at its end. */
function partsOf(segment: Segment): [Origin, number][] {
  if (segment.action === "computed") return [["computed", segment.tokens]];
  const recomputed = Math.min(segment.recomputed, segment.tokens);
  return [
    [segment.action, segment.tokens - recomputed],
    ["recomputed", recomputed],
  ];
}

export function stretches(segments: readonly Segment[]): Stretch[] {
  const total = segments.reduce((sum, segment) => sum + segment.tokens, 0);
  const result: Stretch[] = [];
  let before = 0;
  segments.forEach((segment, index) => {
    for (const [origin, tokens] of partsOf(segment)) {
      if (tokens === 0) continue;
      result.push({ origin, tokens, start: before / total, width: tokens / total, segment: index });
      before += tokens;
    }
  });
  return result;
}

export const ORIGINS: readonly Origin[] = ["exact", "reused", "recomputed", "computed"];

export const ORIGIN_NAMES: Record<Origin, string> = {
  exact: "Exact from the store",
  reused: "Reused from the store",
  recomputed: "Stored, computed anew",
  computed: "Computed",
};

export const ORIGIN_COLOURS: Record<Origin, string> = {
  exact: "var(--c-exact)",
  reused: "var(--c-reused)",
  recomputed: "var(--c-recomputed)",
  computed: "var(--c-computed)",
};

export function segmentTitle(segment: Segment): string {
  if (segment.kind === "prefix") return "Instructions";
  if (segment.kind === "question") return "Your question";
  return segment.title ?? "Passage";
}
