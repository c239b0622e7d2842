/** A full run as the server streams it, for tests. */
import type { RunEvent } from "../api/runs";
import type { CachePlan, Citation, Explanation, Passage, Segment, Verdict } from "../api/types";

export const passage: Passage = {
  rank: 1,
  chunk_id: 7,
  document_id: 3,
  title: "Millbrook bridge",
  label: "Millbrook bridge",
  source: "gazette",
  reliability: 0.8,
  score: 0.9,
  start: 0,
  end: 120,
  page: null,
  text: "The bridge is 214 m long.",
};

export const citation: Citation = {
  number: 1,
  answer_start: 0,
  answer_end: 18,
  chunk_id: 7,
  document_id: 3,
  title: "Millbrook bridge",
  source: "gazette",
  reliability: 0.8,
  start: 0,
  end: 25,
  page: null,
  quote: "The bridge is 214 m long.",
};

export const segments: Segment[] = [
  { kind: "prefix", chunk_id: null, title: null, tokens: 100, action: "exact", recomputed: 0, tier: "ram", encoding: "head", reason: "exact_prefix" },
  { kind: "chunk", chunk_id: 7, title: "Millbrook bridge", tokens: 300, action: "reused", recomputed: 50, tier: "disk", encoding: "primed", reason: "reused_primed" },
  { kind: "chunk", chunk_id: 9, title: "Millbrook mill", tokens: 60, action: "computed", recomputed: 0, tier: null, encoding: null, reason: "not_stored" },
  { kind: "question", chunk_id: null, title: null, tokens: 40, action: "computed", recomputed: 0, tier: null, encoding: null, reason: "question" },
];

const tokens = { prompt: 500, exact_prefix: 100, reused: 250, recomputed: 50, fresh: 100 };

export const plan: CachePlan = {
  mode: "auto",
  policy: "question",
  ratio: 0.15,
  reason: "reuse",
  segments,
  tokens,
  prefill_ms: 180,
  full_prefill_ms_estimate: 900,
};

export const verdict: Verdict = {
  kind: "disagree",
  probability: 0.54,
  is_calibrated: false,
  calibration: { origin: "worlds", answers: 38000, thumbs: 0 },
  trust: "vote",
  answers: [
    { answer: "214 m", sense: "", probability: 0.54, wording: "contested", families: 1, sources: ["gazette", "mirror"] },
    { answer: "300 m", sense: "", probability: 0.41, wording: "contested", families: 1, sources: ["visitor board"] },
  ],
  others: [],
  sources: [{ source_id: 1, source: "gazette" }, { source_id: 2, source: "mirror" }, { source_id: 3, source: "visitor board" }],
};

const said = (source: string, words: string, chunk_id: number, quote = words) => ({ chunk_id, title: "Bridge", source, said: words, quote });
const believed = (source_id: number, source: string, mean: number) => ({
  source_id, source, mean, low: mean - 0.2, high: mean + 0.15, checked_by_people: 2, cross_checked: 5, unchecked: 1,
});

export const explanation: Explanation = {
  kind: "disagree",
  probability: 0.54,
  is_calibrated: false,
  calibration: { origin: "worlds", answers: 38000, thumbs: 0 },
  trust: "vote",
  reliability_version: 3,
  without: [],
  answers: verdict.answers,
  others: [],
  supporting: [
    {
      family: 0, answer: "214 m", sources: ["gazette", "mirror"],
      passages: [said("gazette", "It is 214 m long.", 7), said("mirror", "It is 214 m long.", 8)],
      counted_once: [{ level: "L0", why: "the same words", sources: ["gazette", "mirror"] }],
    },
    { family: 1, answer: "300 m", sources: ["visitor board"], passages: [said("visitor board", "Almost 300 m.", 9, "It is nearly 300 m from end to end.")], counted_once: [] },
  ],
  opposing: [],
  sources: [believed(1, "gazette", 0.7), believed(2, "mirror", 0.6), believed(3, "visitor board", 0.5)],
  what_if: [{ without: "gazette", changes: false }, { without: "mirror", changes: false }, { without: "visitor board", changes: true }],
};

export const events: RunEvent[] = [
  { name: "run.started", data: { run_id: "r1", collection: "millbrook", mode: "auto", model: "m" } },
  { name: "retrieval.completed", data: { passages: [passage] } },
  { name: "assessment.completed", data: { kept: [7], dropped: [], weights: [{ source: "gazette", reliability: 0.8 }] } },
  { name: "cache.plan", data: plan },
  { name: "message.delta", data: { text: "It is 214 " } },
  { name: "message.delta", data: { text: "m long. " } },
  { name: "citation.added", data: citation },
  { name: "verdict", data: verdict },
  {
    name: "message.completed",
    data: {
      run_id: "r1",
      answer: "It is 214 m long.",
      finish_reason: "stop",
      citations: [citation],
      tokens: { ...tokens, generated: 8 },
      timings_ms: { ttft: 240, total: 900 },
      full_prefill_ms_estimate: 900,
    },
  },
];
