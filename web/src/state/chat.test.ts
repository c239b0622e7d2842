import { describe, expect, it } from "vitest";
import { ApiError } from "../api/problem";
import type { RunEvent } from "../api/runs";
import { type Chat, type ChatAction, chatReducer, EMPTY_CHAT, historyOf, isRunning } from "./chat";
import { citation, events, plan, verdict } from "./fixtures";

const asked: ChatAction = {
  type: "asked",
  key: 1,
  question: "How long?",
  collection: "millbrook",
  mode: "auto",
};
const start = chatReducer(EMPTY_CHAT, asked);
const feed = (chat: Chat, list: RunEvent[]) =>
  list.reduce((now, event) => chatReducer(now, { type: "event", key: 1, event }), chat);
const only = (chat: Chat) => {
  const turn = chat.turns[0];
  if (!turn || chat.turns.length > 1) throw new Error("one turn expected");
  return turn;
};

describe("chatReducer", () => {
  it("goes through the phases of a run", () => {
    const phases = events.map((_, count) => only(feed(start, events.slice(0, count + 1))).phase);
    expect([only(start).phase, ...phases]).toEqual([
      "searching",
      "searching",
      "reading",
      "reading",
      "writing",
      "writing",
      "writing",
      "writing",
      "writing",
      "done",
    ]);
  });

  it("gathers answer, citations and plan, and lets the last event decide", () => {
    const writing = only(feed(start, events.slice(0, -1)));
    expect(writing).toMatchObject({ runId: "r1", answer: "It is 214 m long. ", citations: [citation], plan });
    const done = only(feed(start, events));
    expect(done.answer).toBe("It is 214 m long.");
    expect(done.completed?.tokens.generated).toBe(8);
    expect(done.verdict).toEqual(verdict);
    expect(isRunning(done)).toBe(false);
  });

  it("keeps what was written when stopped, and ignores what comes late", () => {
    const stopped = chatReducer(feed(start, events.slice(0, 5)), { type: "stopped", key: 1 });
    expect(only(feed(stopped, events.slice(5)))).toMatchObject({ phase: "stopped", answer: "It is 214 " });
  });

  it("shows a problem from the stream", () => {
    const data = { title: "Busy", status: 503, detail: "Too many questions.", code: "busy", request_id: null };
    const failed = only(feed(start, [{ name: "error", data }]));
    expect(failed).toMatchObject({ phase: "failed", error: { message: "Too many questions." } });
  });

  it("forgets everything on a new chat", () => {
    expect(feed(chatReducer(start, { type: "cleared" }), events)).toEqual(EMPTY_CHAT);
  });
});

describe("historyOf", () => {
  it("sends answered questions in order", () => {
    expect(historyOf(feed(start, events))).toEqual([
      { role: "user", content: "How long?" },
      { role: "assistant", content: "It is 214 m long." },
    ]);
  });

  it("leaves out failed, empty and unmatched turns", () => {
    const error = new ApiError({ message: "no", code: "x" });
    const partial = feed(start, events.slice(0, 5));
    expect(historyOf(chatReducer(partial, { type: "failed", key: 1, error }))).toEqual([]);
    expect(historyOf(start)).toEqual([]);
    const noMatch = events.map((event) =>
      event.name === "message.completed"
        ? { ...event, data: { ...event.data, finish_reason: "no_match" } }
        : event,
    );
    expect(historyOf(feed(start, noMatch))).toEqual([]);
  });

  it("keeps the last six exchanges", () => {
    const turn = only(feed(start, events));
    const turns = Array.from({ length: 9 }, (_, key) => ({ ...turn, key, question: `${key}` }));
    const history = historyOf({ turns });
    expect(history).toHaveLength(12);
    expect(history[0]?.content).toBe("3");
  });
});
