// For work on the pages without a server: answers the routes of docs/api.md with example data and
// serves the built pages. `node dev/server.mjs [port] [--empty] [--drifted]`; never part of an installation.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as wait } from "node:timers/promises";
import * as data from "./data.mjs";

const port = Number(process.argv[2] ?? 8000);
const empty = process.argv.includes("--empty");
const drifted = process.argv.includes("--drifted");
const STATIC = fileURLToPath(new URL("../../app/static", import.meta.url));
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

const json = (reply, body, status = 200) => {
  const type = status >= 400 ? "application/problem+json" : "application/json";
  reply.writeHead(status, { "Content-Type": type }).end(JSON.stringify(body));
};
const problem = (reply, status, code, detail) =>
  json(reply, { type: "about:blank", title: code, status, detail, code, request_id: "dev" }, status);

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString("latin1");
}

async function streamRun(request, reply) {
  const { question, mode = "auto", trust, collection } = JSON.parse(await bodyOf(request));
  if (question.includes("too long")) return problem(reply, 422, "question_too_long", "The question needs 9,120 tokens; the model reads 8,192.");
  reply.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store" });
  let id = 0;
  const send = (event, body) => reply.write(`id: ${++id}\nevent: ${event}\ndata: ${JSON.stringify(body)}\n\n`);
  send("run.started", { run_id: "r1", collection, mode, model: "SmolLM2-135M-Instruct" });
  await wait(300);
  if (question.includes("nothing")) {
    const none = { prompt: 0, exact_prefix: 0, reused: 0, recomputed: 0, fresh: 0, generated: 0 };
    send("retrieval.completed", { passages: [] });
    send("message.completed", { ...data.completedFor(mode, "r1"), answer: "No passage in this collection speaks to that question.", finish_reason: "no_match", citations: [], tokens: none });
    return reply.end();
  }
  send("retrieval.completed", { passages: data.passages });
  send("assessment.completed", { kept: [11, 12, 13], dropped: [], weights: [] });
  await wait(mode === "off" ? 1500 : 300);
  send("cache.plan", data.planFor(mode));
  for (const word of data.answer.split(/(?<= )/)) {
    send("message.delta", { text: word });
    await wait(25);
    if (reply.destroyed) return undefined;
  }
  for (const citation of data.citations) send("citation.added", citation);
  send("verdict", data.verdictFor(trust));
  send("message.completed", data.completedFor(mode, "r1"));
  return reply.end();
}

let nextDocument = 100;
const uploaded = new Map();

async function upload(request, reply) {
  const body = await bodyOf(request);
  const name = /filename="([^"]*)"/.exec(body)?.[1] ?? "file";
  if (name.endsWith(".exe")) return json(reply, { items: [{ name, code: "unsupported_type", detail: "Files of this kind cannot be read." }] }, 202);
  const doc = { ...data.documents[0], id: nextDocument++, name, title: name, state: "received", chunks_embedded: 0, chunks_cached: 0, size_bytes: body.length, created_at: new Date().toISOString() };
  uploaded.set(doc.id, { doc, since: Date.now() });
  return json(reply, { items: [doc] }, 202);
}

function documentNow(id) {
  const entry = uploaded.get(id);
  if (!entry) return data.documents.find((doc) => doc.id === id);
  const steps = Math.floor((Date.now() - entry.since) / 600);
  const embedded = Math.min(7, Math.max(0, steps - 2));
  const cached = Math.min(7, Math.max(0, steps - 9));
  const state = steps < 2 ? "received" : embedded < 7 ? "chunked" : cached < 7 ? "indexed" : "ready";
  return { ...entry.doc, state, chunks_embedded: embedded, chunks_cached: cached };
}

const runOf = (mode) => ({ run_id: "r1", created_at: new Date().toISOString(), question: "How long is the Millbrook bridge?", collection: "millbrook", mode, answer: data.answer, plan: data.planFor(mode), passages: data.passages, citations: data.citations, tokens: data.planFor(mode).tokens, timings_ms: data.completedFor(mode, "r1").timings_ms, ttft_ms: data.completedFor(mode, "r1").timings_ms.ttft, finish_reason: "stop" });

const ROUTES = [
  ["GET", /^\/collections$/, (m, q, reply) => json(reply, { items: empty ? [] : data.collections })],
  ["POST", /^\/collections$/, (m, q, reply) => problem(reply, 409, "collection_exists", "There is a collection of that name already.")],
  ["POST", /^\/collections\/\d+\/documents$/, (m, q, reply) => upload(q, reply)],
  ["GET", /^\/collections\/\d+\/documents/, (m, q, reply) => json(reply, { items: [...[...uploaded.keys()].map(documentNow).reverse(), ...data.documents], has_more: false })],
  ["GET", /^\/documents\/(\d+)$/, (m, q, reply) => json(reply, documentNow(Number(m[1])))],
  ["DELETE", /^\/documents\/(\d+)$/, (m, q, reply) => json(reply, { chunks: 7, kv_entries: 14, kv_bytes: 91_000_000 })],
  ["GET", /^\/chunks\/(\d+)$/, (m, q, reply) => json(reply, data.chunks[m[1]])],
  ["GET", /^\/sources$/, (m, q, reply) => json(reply, { items: empty ? [] : data.sources })],
  ["PATCH", /^\/sources\/(\d+)$/, (m, q, reply) => json(reply, data.sources[Number(m[1]) - 1])],
  ["POST", /^\/runs$/, (m, q, reply) => streamRun(q, reply)],
  ["GET", /^\/runs\?/, (m, q, reply) => json(reply, { items: empty ? [] : ["auto", "auto", "off", "exact"].map(runOf) })],
  ["GET", /^\/runs\/r1$/, (m, q, reply) => json(reply, runOf("auto"))],
  ["GET", /^\/runs\/r1\/explanation/, (m, q, reply) => json(reply, data.explanationFor(new URL(q.url, "http://x").searchParams.getAll("without")))],
  ["GET", /^\/cache$/, (m, q, reply) => json(reply, { model: "SmolLM2-135M-Instruct", dtype: "float32", chunk_reuse: data.reuseFor(empty, drifted), tiers: data.tiers, counters: { hits_ram: 412, hits_disk: 63, misses: 71, corrupt: 0, evicted: 12 } })],
  ["GET", /^\/admin\/overview\?hours=(\d+)$/, (m, q, reply) => json(reply, data.overviewFor(Number(m[1]), empty))],
];

createServer(async (request, reply) => {
  if (request.url.startsWith("/api/v1")) {
    const path = request.url.slice("/api/v1".length);
    for (const [method, pattern, handle] of ROUTES) {
      const match = method === request.method && pattern.exec(path);
      if (match) return handle(match, request, reply);
    }
    return problem(reply, 404, "not_found", `There is no ${path}.`);
  }
  const path = request.url === "/" ? "/index.html" : new URL(request.url, "http://x").pathname;
  try {
    const content = await readFile(STATIC + path);
    return reply.writeHead(200, { "Content-Type": TYPES[extname(path)] ?? "text/plain", "Content-Security-Policy": POLICY }).end(content);
  } catch {
    return problem(reply, 404, "not_found", `There is no ${path}.`);
  }
}).listen(port, "127.0.0.1", () => console.log(`http://127.0.0.1:${port}`));
