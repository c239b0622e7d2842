/** One function per JSON route. Every reply passes its decoder before anyone sees it. */
import { type Decoder, list, object, bool } from "./decode";
import { fromReply, isAbort, unreachable } from "./problem";
import * as t from "./types";
import type { Id } from "./types";

export const BASE = "/api/v1";

async function send(path: string, init?: RequestInit): Promise<Response> {
  let reply: Response;
  try {
    reply = await fetch(BASE + path, init);
  } catch (error) {
    throw isAbort(error) ? error : unreachable();
  }
  if (!reply.ok) throw fromReply(reply.status, await reply.text());
  return reply;
}

async function get<T>(path: string, decode: Decoder<T>, signal?: AbortSignal): Promise<T> {
  const reply = await send(path, { signal });
  return decode(await reply.json(), "reply");
}

async function sendJson<T>(method: string, path: string, body: unknown, decode: Decoder<T>) {
  const reply = await send(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return decode(await reply.json(), "reply");
}

const key = (value: Id) => encodeURIComponent(String(value));
const items = <T>(inner: Decoder<T>) => object({ items: list(inner) });

export const listCollections = async (signal?: AbortSignal) =>
  (await get("/collections", items(t.collection), signal)).items;

export const createCollection = (name: string) =>
  sendJson("POST", "/collections", { name }, t.collection);

export const listDocuments = (collection: Id, after: Id | null, signal?: AbortSignal) =>
  get(
    `/collections/${key(collection)}/documents?limit=50${after === null ? "" : `&after=${key(after)}`}`,
    object({ items: list(t.document), has_more: bool }),
    signal,
  );

export const getDocument = (id: Id, signal?: AbortSignal) =>
  get(`/documents/${key(id)}`, t.document, signal);

/** What went; null where something is still to go, which a job does later. */
export async function deleteDocument(id: Id): Promise<t.Purged | null> {
  const reply = await send(`/documents/${key(id)}`, { method: "DELETE" });
  if (reply.status === 202) return null;
  return t.purged(await reply.json(), "reply");
}

export const getChunk = (id: Id, signal?: AbortSignal) =>
  get(`/chunks/${key(id)}`, t.chunk, signal);

export const listSources = async (signal?: AbortSignal) =>
  (await get("/sources", items(t.source), signal)).items;

export const setReliability = (id: Id, reliability: number) =>
  sendJson("PATCH", `/sources/${key(id)}`, { reliability }, t.source);

export const getCache = (signal?: AbortSignal) => get("/cache", t.cache, signal);

export const getOverview = (hours: number, signal?: AbortSignal) =>
  get(`/admin/overview?hours=${hours}`, t.overview, signal);

export const listRuns = async (limit: number, signal?: AbortSignal) =>
  (await get(`/runs?limit=${limit}`, items(t.runSummary), signal)).items;

export const getRun = (id: Id, signal?: AbortSignal) => get(`/runs/${key(id)}`, t.run, signal);

/** Why an answer is believed; `without` names sources to leave out, which decodes nothing anew. */
export const getExplanation = (id: Id, without: readonly string[], signal?: AbortSignal) => {
  const query = without.map((name) => `without=${encodeURIComponent(name)}`).join("&");
  return get(`/runs/${key(id)}/explanation${query && `?${query}`}`, t.explanation, signal);
};

/** Opens the event stream of a new run; `runs.ts` reads it. */
export const openRun = (body: unknown, signal: AbortSignal) =>
  send("/runs", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify(body),
    signal,
  });
