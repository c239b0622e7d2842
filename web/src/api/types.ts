/** The HTTP contract (docs/api.md) as decoders; every type is derived from its decoder. */
import { bool, id, type Infer, list, nullable, num, object, oneOf, orElse, record, str } from "./decode";

export type Id = number | string;

export const collection = object({
  id,
  name: str,
  created_at: str,
  documents: num,
  documents_ready: num,
  chunks: num,
  tokens: num,
});
export type Collection = Infer<typeof collection>;

export const document = object({
  id,
  collection_id: id,
  name: str,
  title: nullable(str),
  source: str,
  media_type: nullable(str),
  size_bytes: num,
  state: oneOf("received", "chunked", "indexed", "ready", "failed"),
  error: nullable(str),
  chunks: num,
  chunks_embedded: num,
  chunks_cached: num,
  tokens: num,
  created_at: str,
});
export type Doc = Infer<typeof document>;

export const refusal = object({ name: str, code: str, detail: str });
export type Refusal = Infer<typeof refusal>;

export const purged = object({ chunks: num, kv_entries: num, kv_bytes: num });
export type Purged = Infer<typeof purged>;

export const source = object({ id, name: str, reliability: num, documents: num });
export type Source = Infer<typeof source>;

export const chunk = object({
  id,
  document_id: id,
  title: nullable(str),
  source: str,
  reliability: num,
  label: nullable(str),
  text: str,
  start: num,
  end: num,
  page: nullable(num),
});
export type Chunk = Infer<typeof chunk>;

export const passage = object({
  rank: num,
  chunk_id: id,
  document_id: id,
  title: nullable(str),
  label: nullable(str),
  source: str,
  reliability: num,
  score: num,
  start: num,
  end: num,
  page: nullable(num),
  text: orElse(str, ""),
});
export type Passage = Infer<typeof passage>;

export const assessment = object({
  kept: list(id),
  dropped: list(object({ chunk_id: id, reason: str })),
  weights: list(object({ source: str, reliability: num })),
});
export type Assessment = Infer<typeof assessment>;

export const mode = oneOf("auto", "exact", "off");
export type Mode = Infer<typeof mode>;

export const trust = oneOf("plain", "weighted", "tagged", "vote");
export type Trust = Infer<typeof trust>;

export const judgedAnswer = object({
  answer: str,
  sense: orElse(str, ""),
  probability: num,
  wording: orElse(str, ""),
  families: num,
  sources: list(str),
});
export type JudgedAnswer = Infer<typeof judgedAnswer>;

/** What chances rest on: answers that people judged here, or questions made up for the purpose. */
const calibration = object({ origin: oneOf("labels", "worlds"), answers: num, thumbs: num });

const decided = {
  kind: oneOf("abstain", "answer", "several", "disagree", "low_support"),
  probability: nullable(num),
  is_calibrated: orElse(bool, false),
  calibration: orElse(nullable(calibration), null),
  answers: list(judgedAnswer),
};

export const verdict = object({
  ...decided,
  trust,
  others: list(judgedAnswer),
  sources: list(object({ source_id: id, source: str })),
});
export type Verdict = Infer<typeof verdict>;

const family = object({
  family: num,
  answer: str,
  sources: list(str),
  passages: list(object({ chunk_id: id, title: str, source: str, said: str, quote: orElse(str, "") })),
  counted_once: list(object({ level: str, why: str, sources: list(str) })),
});
export type Family = Infer<typeof family>;

const believed = object({
  source_id: id,
  source: str,
  mean: num,
  low: num,
  high: num,
  checked_by_people: num,
  cross_checked: num,
  unchecked: num,
});
export type Believed = Infer<typeof believed>;

export const explanation = object({
  ...decided,
  trust,
  reliability_version: num,
  without: list(str),
  others: list(judgedAnswer),
  supporting: list(family),
  opposing: list(family),
  sources: list(believed),
  what_if: list(object({ without: str, changes: bool })),
});
export type Explanation = Infer<typeof explanation>;

const origin = {
  exact_prefix: num,
  reused: num,
  recomputed: num,
  fresh: num,
};
export const tokenCounts = object({ prompt: num, ...origin });
export type TokenCounts = Infer<typeof tokenCounts>;

export const segment = object({
  kind: oneOf("prefix", "chunk", "question"),
  chunk_id: nullable(id),
  title: nullable(str),
  tokens: num,
  action: oneOf("exact", "reused", "computed"),
  recomputed: num,
  tier: nullable(str),
  encoding: nullable(str),
  reason: orElse(str, ""),
});
export type Segment = Infer<typeof segment>;

export const cachePlan = object({
  mode,
  policy: nullable(str),
  ratio: nullable(num),
  reason: orElse(str, ""),
  segments: list(segment),
  tokens: tokenCounts,
  prefill_ms: num,
  full_prefill_ms_estimate: num,
});
export type CachePlan = Infer<typeof cachePlan>;

export const citation = object({
  number: num,
  answer_start: num,
  answer_end: num,
  chunk_id: id,
  document_id: id,
  title: nullable(str),
  source: str,
  reliability: num,
  start: num,
  end: num,
  page: nullable(num),
  quote: orElse(str, ""),
});
export type Citation = Infer<typeof citation>;

const timings = record(orElse(num, 0));
export const completed = object({
  run_id: id,
  answer: str,
  finish_reason: str,
  citations: list(citation),
  tokens: object({ prompt: num, ...origin, generated: num }),
  timings_ms: timings,
  full_prefill_ms_estimate: orElse(num, 0),
});
export type Completed = Infer<typeof completed>;

export const problem = object({
  title: orElse(str, "Error"),
  status: orElse(num, 0),
  detail: orElse(str, ""),
  code: orElse(str, "unknown"),
  request_id: nullable(str),
});
export type Problem = Infer<typeof problem>;

export const run = object({
  run_id: id,
  created_at: str,
  question: str,
  collection: nullable(str),
  answer: nullable(str),
  plan: nullable(cachePlan),
  passages: orElse(list(passage), []),
  citations: orElse(list(citation), []),
  tokens: nullable(object({ prompt: num, ...origin })),
  timings_ms: orElse(timings, {}),
  finish_reason: nullable(str),
});
export type Run = Infer<typeof run>;

export const runSummary = object({
  run_id: id,
  created_at: str,
  question: str,
  collection: nullable(str),
  mode,
  tokens: nullable(object({ prompt: num, ...origin })),
  ttft_ms: nullable(num),
  finish_reason: nullable(str),
});
export type RunSummary = Infer<typeof runSummary>;

export const tier = object({
  name: str,
  bytes: num,
  budget_bytes: num,
  entries: num,
  pinned: num,
});
export type Tier = Infer<typeof tier>;

export const cache = object({
  model: str,
  dtype: str,
  chunk_reuse: object({ allowed: bool, reason: str }),
  tiers: list(tier),
  counters: record(num),
});
export type Cache = Infer<typeof cache>;

const ttftStats = object({
  n: num,
  p50_ms: nullable(num),
  p95_ms: nullable(num),
  values_ms: list(num),
});
export type TtftStats = Infer<typeof ttftStats>;

export const bucket = object({ start: str, ...origin, runs: num });
export type Bucket = Infer<typeof bucket>;

export const overview = object({
  window_hours: num,
  runs: num,
  documents: num,
  chunks: num,
  tokens: object(origin),
  saved_ms_estimate: num,
  series: list(bucket),
  ttft: object({ reuse: ttftStats, off: ttftStats }),
  tiers: list(tier),
});
export type Overview = Infer<typeof overview>;
