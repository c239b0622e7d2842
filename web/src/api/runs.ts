/** Asks a question and turns the reply's stream into typed events. */
import { openRun } from "./client";
import { type Decoder, id, list, object, str } from "./decode";
import { ApiError, isAbort, unreachable } from "./problem";
import { readMessages, type SseMessage } from "./sse";
import * as t from "./types";

export interface HistoryMessage {
  role: "user" | "assistant";
  content: string;
}

export interface RunRequest {
  question: string;
  collection: string;
  mode: t.Mode;
  trust?: t.Trust;
  history: HistoryMessage[];
}

export type RunEvent =
  | { name: "run.started"; data: { run_id: t.Id; collection: string; mode: t.Mode; model: string } }
  | { name: "retrieval.completed"; data: { passages: t.Passage[] } }
  | { name: "assessment.completed"; data: t.Assessment }
  | { name: "cache.plan"; data: t.CachePlan }
  | { name: "message.delta"; data: { text: string } }
  | { name: "citation.added"; data: t.Citation }
  | { name: "verdict"; data: t.Verdict }
  | { name: "message.completed"; data: t.Completed }
  | { name: "error"; data: t.Problem };

type Decoders = { [E in RunEvent as E["name"]]: Decoder<E["data"]> };

const DECODERS: Decoders = {
  "run.started": object({ run_id: id, collection: str, mode: t.mode, model: str }),
  "retrieval.completed": object({ passages: list(t.passage) }),
  "assessment.completed": t.assessment,
  "cache.plan": t.cachePlan,
  "message.delta": object({ text: str }),
  "citation.added": t.citation,
  verdict: t.verdict,
  "message.completed": t.completed,
  error: t.problem,
};

/** Null for a name this page does not know: a newer server may send more. */
export function decodeEvent(message: SseMessage): RunEvent | null {
  if (!(message.event in DECODERS)) return null;
  const name = message.event as RunEvent["name"];
  const data = DECODERS[name](JSON.parse(message.data), name);
  return { name, data } as RunEvent;
}

/** Calls `onEvent` for each event until the run ends; throws if the stream breaks off before. */
export async function streamRun(
  request: RunRequest,
  signal: AbortSignal,
  onEvent: (event: RunEvent) => void,
): Promise<void> {
  const reply = await openRun(request, signal);
  if (reply.body === null) throw unreachable();
  let ended = false;
  try {
    for await (const message of readMessages(reply.body)) {
      const event = decodeEvent(message);
      if (event === null) continue;
      // Read on to the end: leaving at the last event would look like a cancelled answer there.
      ended ||= event.name === "message.completed" || event.name === "error";
      onEvent(event);
    }
  } catch (error) {
    if (isAbort(error) || !(error instanceof TypeError)) throw error;
  }
  if (ended) return;
  throw new ApiError({
    message: "The connection ended before the answer was complete.",
    code: "connection_lost",
  });
}
