/** The conversation as plain data and one reducer over the events of a run. No I/O, no React. */
import type { ApiError } from "../api/problem";
import { fromProblem } from "../api/problem";
import type { HistoryMessage, RunEvent } from "../api/runs";
import type {
  Assessment,
  CachePlan,
  Citation,
  Completed,
  Id,
  Mode,
  Passage,
  Trust,
  Verdict,
} from "../api/types";

export type Phase = "searching" | "reading" | "writing" | "done" | "stopped" | "failed";

export interface Turn {
  key: number;
  question: string;
  collection: string;
  mode: Mode;
  phase: Phase;
  runId: Id | null;
  passages: Passage[];
  assessment: Assessment | null;
  plan: CachePlan | null;
  answer: string;
  citations: Citation[];
  verdict: Verdict | null;
  completed: Completed | null;
  error: ApiError | null;
}

export interface Chat {
  turns: Turn[];
}

export type ChatAction =
  | { type: "asked"; key: number; question: string; collection: string; mode: Mode; trust?: Trust }
  | { type: "event"; key: number; event: RunEvent }
  | { type: "stopped"; key: number }
  | { type: "failed"; key: number; error: ApiError }
  | { type: "cleared" };

export const EMPTY_CHAT: Chat = { turns: [] };

/** Twelve messages are six exchanges: about as much as a small context holds beside passages. */
const MAX_HISTORY = 12;

export const isRunning = (turn: Turn | undefined) =>
  turn !== undefined && ["searching", "reading", "writing"].includes(turn.phase);

export function chatReducer(chat: Chat, action: ChatAction): Chat {
  switch (action.type) {
    case "cleared":
      return EMPTY_CHAT;
    case "asked":
      return { turns: [...chat.turns, newTurn(action)] };
    case "event":
      return update(chat, action.key, (turn) => applyEvent(turn, action.event));
    case "stopped":
      return update(chat, action.key, (turn) => ({ ...turn, phase: "stopped" }));
    case "failed":
      return update(chat, action.key, (turn) => failed(turn, action.error));
  }
}

function newTurn(asked: Extract<ChatAction, { type: "asked" }>): Turn {
  const { key, question, collection, mode } = asked;
  return {
    key,
    question,
    collection,
    mode,
    phase: "searching",
    runId: null,
    passages: [],
    assessment: null,
    plan: null,
    answer: "",
    citations: [],
    verdict: null,
    completed: null,
    error: null,
  };
}

/** Events for a turn that has ended or was cleared away change nothing. */
function update(chat: Chat, key: number, change: (turn: Turn) => Turn): Chat {
  const turns = chat.turns.map((turn) =>
    turn.key === key && isRunning(turn) ? change(turn) : turn,
  );
  return { turns };
}

function applyEvent(turn: Turn, event: RunEvent): Turn {
  switch (event.name) {
    case "run.started":
      return { ...turn, runId: event.data.run_id };
    case "retrieval.completed":
      return { ...turn, phase: "reading", passages: event.data.passages };
    case "assessment.completed":
      return { ...turn, assessment: event.data };
    case "cache.plan":
      return { ...turn, phase: "writing", plan: event.data };
    case "message.delta":
      return { ...turn, phase: "writing", answer: turn.answer + event.data.text };
    case "citation.added":
      return { ...turn, citations: [...turn.citations, event.data] };
    case "verdict":
      return { ...turn, verdict: event.data };
    case "message.completed":
      return finished(turn, event.data);
    case "error":
      return failed(turn, fromProblem(event.data));
  }
}

/** The last event repeats answer and citations; it wins over what was pieced together. */
function finished(turn: Turn, completed: Completed): Turn {
  return {
    ...turn,
    phase: completed.finish_reason === "cancelled" ? "stopped" : "done",
    answer: completed.answer,
    citations: completed.citations,
    completed,
  };
}

const failed = (turn: Turn, error: ApiError): Turn => ({ ...turn, phase: "failed", error });

/** Earlier exchanges for the next request; failed and unanswered ones would only mislead. */
export function historyOf(chat: Chat): HistoryMessage[] {
  return chat.turns
    .filter((turn) => turn.answer !== "" && turn.phase !== "failed")
    .filter((turn) => turn.completed?.finish_reason !== "no_match")
    .flatMap((turn): HistoryMessage[] => [
      { role: "user", content: turn.question },
      { role: "assistant", content: turn.answer },
    ])
    .slice(-MAX_HISTORY);
}
