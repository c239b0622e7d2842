// Example data for dev/server.mjs: two small collections, one run, one day of figures.

const iso = (minutesAgo) => new Date(Date.now() - minutesAgo * 60_000).toISOString();

export const collections = [
  { id: 1, name: "larder-docs", created_at: iso(3000), documents: 6, documents_ready: 6, chunks: 48, tokens: 14210 },
  { id: 2, name: "millbrook", created_at: iso(2900), documents: 4, documents_ready: 3, chunks: 21, tokens: 6120 },
];

const doc = (id, name, source, part = {}) => ({
  id, collection_id: 2, name, title: name.replace(/\.\w+$/, "").replaceAll("-", " "), source,
  media_type: "text/markdown", size_bytes: 9000 + id * 911, state: "ready", error: null, chunks: 7,
  chunks_embedded: 7, chunks_cached: 7, tokens: 1980, created_at: iso(id * 30), ...part,
});

export const documents = [
  doc(1, "bridge-survey-2024.pdf", "county survey", { title: "Millbrook bridge: survey of 2024" }),
  doc(2, "history-of-the-bridge.md", "town archive", { title: "A history of the bridge" }),
  doc(3, "visitor-guide.html", "visitor board", { state: "indexed", chunks_cached: 3 }),
  doc(4, "scan-0042.pdf", "town archive", { state: "failed", chunks: 0, error: "The PDF holds pictures only, no text." }),
];

export const sources = [
  { id: 1, name: "county survey", reliability: 0.92, documents: 1 },
  { id: 2, name: "town archive", reliability: 0.74, documents: 2 },
  { id: 3, name: "visitor board", reliability: 0.41, documents: 1 },
];

const TEXT =
  "The bridge at Millbrook crosses the Ash below the old mill.\n\nMeasured between the faces of its abutments " +
  "it is 214 metres long, carried on five stone arches, the widest of which spans 46 metres. The deck is " +
  "7.2 metres wide between the parapets. The survey found the third pier scoured on its upstream side and " +
  "recommends that it be underpinned before the winter of 2026.";
const QUOTE = "it is 214 metres long, carried on five stone arches";

export const chunks = {
  11: { id: 11, document_id: 1, title: "Millbrook bridge: survey of 2024", source: "county survey", reliability: 0.92, label: "Millbrook bridge", text: TEXT, start: 1200, end: 1200 + TEXT.length, page: 3 },
  12: { id: 12, document_id: 2, title: "A history of the bridge", source: "town archive", reliability: 0.74, label: "A history of the bridge", text: "Work began in 1868 and the bridge was opened on 3 May 1871 by the Lord Lieutenant. Its engineer was Ada Thornbury, whose drawings are kept in the archive.", start: 400, end: 552, page: null },
  13: { id: 13, document_id: 3, title: "Visitor guide", source: "visitor board", reliability: 0.41, label: "Visitor guide", text: "At almost 300 metres, our bridge is among the longest in the land!", start: 0, end: 66, page: null },
};

export const passages = [11, 12, 13].map((id, index) => {
  const { id: chunk_id, ...chunk } = chunks[id];
  return { rank: index + 1, chunk_id, score: 0.9 - index * 0.1, ...chunk };
});

export const answer =
  "The Millbrook bridge is **214 metres long** and stands on five stone arches. It was opened on 3 May 1871.\n\n" +
  "- The widest arch spans 46 metres.\n- The deck is 7.2 metres wide.\n\nThe visitor guide says almost 300 metres, but the survey measured it.";

const cite = (number, chunk_id, until, quote) => {
  const chunk = chunks[chunk_id];
  const start = chunk.start + chunk.text.indexOf(quote);
  const answer_end = answer.indexOf(until) + until.length;
  const { title, source, reliability, page, document_id } = chunk;
  return { number, answer_start: 0, answer_end, chunk_id, document_id, title, source, reliability, start, end: start + quote.length, page, quote };
};

export const citations = [
  cite(1, 11, "five stone arches.", QUOTE),
  cite(2, 12, "3 May 1871.", "opened on 3 May 1871"),
  cite(1, 11, "spans 46 metres.", "the widest of which spans 46 metres"),
  cite(3, 13, "measured it.", "At almost 300 metres"),
];

const segment = (kind, chunk_id, tokens, action, recomputed, tier, encoding, reason) => ({
  kind, chunk_id, title: chunk_id ? chunks[chunk_id].title : null, tokens, action, recomputed, tier, encoding, reason,
});

const REUSED = [
  segment("prefix", null, 84, "exact", 0, "ram", "head", "exact_prefix"),
  segment("chunk", 11, 392, "exact", 0, "ram", "head", "first_chunk"),
  segment("chunk", 12, 371, "reused", 56, "ram", "primed", "reused_primed"),
  segment("chunk", 13, 344, "reused", 51, "disk", "primed", "reused_primed"),
  segment("question", null, 31, "computed", 0, null, null, "question"),
];
const OFF = REUSED.map((s) => ({ ...s, action: "computed", recomputed: 0, tier: null, encoding: null, reason: s.kind === "question" ? "question" : "mode_off" }));

export function planFor(mode) {
  const off = mode === "off";
  const tokens = off
    ? { prompt: 1222, exact_prefix: 0, reused: 0, recomputed: 0, fresh: 1222 }
    : { prompt: 1222, exact_prefix: 476, reused: 608, recomputed: 107, fresh: 31 };
  return {
    mode, policy: "question", ratio: 0.15, reason: off ? "mode_off" : "reuse", segments: off ? OFF : REUSED, tokens,
    prefill_ms: off ? 2310 : 290, full_prefill_ms_estimate: 2340,
  };
}

export function completedFor(mode, run_id) {
  const { tokens, full_prefill_ms_estimate } = planFor(mode);
  const off = mode === "off";
  return {
    run_id, answer, finish_reason: "stop", citations, tokens: { ...tokens, generated: 74 }, full_prefill_ms_estimate,
    timings_ms: { queue: 0.4, retrieve: 41, assess: 1.2, lookup: 2.1, load: 12, rotate: 9, probe: 38, prefill: off ? 2310 : 290, ttft: off ? 2420 : 396, total: 2900 },
  };
}

export const tiers = [
  { name: "ram", bytes: 610_000_000, budget_bytes: 1_073_741_824, entries: 66, pinned: 2 },
  { name: "disk", bytes: 2_420_000_000, budget_bytes: 10_737_418_240, entries: 138, pinned: 2 },
];

const spread = (n, low, high) => Array.from({ length: n }, (_, i) => low + (high - low) * ((i / n) ** 2) + ((i * 37) % 11) * 6);
const stats = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null;
  return { n: values.length, p50_ms: at(0.5), p95_ms: at(0.95), values_ms: values };
};

export function overviewFor(hours, empty) {
  const series = Array.from({ length: 48 }, (_, i) => {
    const runs = empty ? 0 : Math.max(0, Math.round(4 + 4 * Math.sin(i / 5) + ((i * 7) % 5) - 3));
    return { start: iso(((48 - i) * hours * 60) / 48), exact_prefix: runs * 460, reused: runs * (300 + i * 6), recomputed: runs * 105, fresh: runs * Math.max(60, 700 - i * 14), runs };
  });
  const sum = (key) => series.reduce((all, bucket) => all + bucket[key], 0);
  return {
    window_hours: hours, runs: sum("runs"), documents: 10, chunks: 69,
    tokens: { exact_prefix: sum("exact_prefix"), reused: sum("reused"), recomputed: sum("recomputed"), fresh: sum("fresh") },
    saved_ms_estimate: empty ? 0 : 351_000, series,
    ttft: empty ? { reuse: stats([]), off: stats([]) } : { reuse: stats(spread(90, 240, 900)), off: stats(spread(24, 1900, 3300)) },
    tiers,
  };
}

const judged = (answer, probability, sources, families = sources.length) => ({ answer, sense: "", probability, wording: "contested", families, sources });
const said = (chunk_id, words) => ({ chunk_id, document_id: chunks[chunk_id].document_id, title: chunks[chunk_id].title, source: chunks[chunk_id].source, said: words });
const belief = (source, low, high) => ({ source_id: source.id, source: source.name, mean: source.reliability, low, high, checked_by_people: 4, cross_checked: 21, unchecked: 3 });
const SURVEY = { family: 0, answer: "214 metres", sources: ["county survey"], passages: [said(11, "it is 214 metres long")], counted_once: [] };
const GUIDE = { family: 1, answer: "300 metres", sources: ["visitor board"], passages: [said(13, "At almost 300 metres, our bridge is among the longest in the land!")], counted_once: [] };

/** As if the vote were weighed again without some sources. */
export function explanationFor(without) {
  const heard = [[SURVEY, 0.81], [GUIDE, 0.13]].filter(([family]) => !without.includes(family.sources[0]));
  const [best, ...rest] = heard;
  const answers = best ? [judged(best[0].answer, rest.length ? best[1] : 0.62, best[0].sources)] : [];
  const kind = !best ? "abstain" : rest.length ? "answer" : "low_support";
  return {
    run_id: "r1", kind, probability: answers[0]?.probability ?? null, is_calibrated: false, calibration: { origin: "worlds", answers: 37683, thumbs: 0 }, reliability_version: 3, without, answers,
    others: rest.map(([family, chance]) => judged(family.answer, chance, family.sources)),
    supporting: best ? [best[0]] : [], opposing: rest.map(([family]) => family),
    sources: [belief(sources[0], 0.85, 0.97), belief(sources[2], 0.22, 0.6)].filter((b) => !without.includes(b.source)),
    what_if: [{ without: "county survey", changes: true }, { without: "visitor board", changes: true }],
  };
}

export function verdictFor(trust = "weighted") {
  const { kind, probability, is_calibrated, calibration, answers, others, sources } = explanationFor([]);
  return { kind, probability, is_calibrated, calibration, trust, answers, others, sources };
}

export function reuseFor(empty, drifted) {
  if (empty) return { allowed: false, reason: "model_not_proven" };
  if (!drifted) return { allowed: true, reason: "calibrated: measured on 24 questions" };
  const sentence =
    "Answers drifted more than 0.04 nats a token from a full prefill, so the collection “millbrook” gets exact reuse only. " +
    "Run `larder calibrate`, or lift it with POST /api/v1/cache/watch/reset.";
  return { allowed: false, reason: `drift_over_limit: ${sentence}` };
}
