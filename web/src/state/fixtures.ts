/** A full run as the server streams it, for tests. */
import type { RunEvent } from "../api/runs";
import type { CachePlan, Citation, Passage, Segment } from "../api/types";

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

export const events: RunEvent[] = [
  { name: "run.started", data: { run_id: "r1", collection: "millbrook", mode: "auto", model: "m" } },
  { name: "retrieval.completed", data: { passages: [passage] } },
  { name: "assessment.completed", data: { kept: [7], dropped: [], weights: [{ source: "gazette", reliability: 0.8 }] } },
  { name: "cache.plan", data: plan },
  { name: "message.delta", data: { text: "It is 214 " } },
  { name: "message.delta", data: { text: "m long. " } },
  { name: "citation.added", data: citation },
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
