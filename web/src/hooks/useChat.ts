/** Runs the conversation: sends a question, feeds the reducer, stops. Text pieces are gathered and
 * handed on once per animation frame, because a fast decoder sends more of them than can be drawn. */
import { useCallback, useEffect, useReducer, useRef } from "react";
import { ApiError, isAbort, messageOf } from "../api/problem";
import { type RunEvent, streamRun } from "../api/runs";
import type { Mode, Trust } from "../api/types";
import { type Chat, chatReducer, EMPTY_CHAT, historyOf } from "../state/chat";

export interface Ask {
  question: string;
  collection: string;
  mode: Mode;
  /** Left out: as the server is set. */
  trust?: Trust;
}

export interface ChatControl {
  chat: Chat;
  ask: (ask: Ask) => void;
  stop: () => void;
  clear: () => void;
}

const asApiError = (error: unknown) =>
  error instanceof ApiError
    ? error
    : new ApiError({ message: messageOf(error), code: "unexpected_reply" });

/** Passes events on in order, joining the text pieces that arrive within one frame. */
export function frameBatcher(emit: (event: RunEvent) => void) {
  let text = "";
  let frame = 0;
  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    if (text === "") return;
    const joined = text;
    text = "";
    emit({ name: "message.delta", data: { text: joined } });
  };
  const push = (event: RunEvent) => {
    if (event.name !== "message.delta") {
      flush();
      emit(event);
      return;
    }
    text += event.data.text;
    if (frame === 0) frame = requestAnimationFrame(flush);
  };
  return { push, flush };
}

export function useChat(): ChatControl {
  const [chat, dispatch] = useReducer(chatReducer, EMPTY_CHAT);
  const latest = useRef(chat);
  const running = useRef<AbortController | null>(null);
  const nextKey = useRef(1);
  useEffect(() => {
    latest.current = chat;
  }, [chat]);

  const stop = useCallback(() => running.current?.abort(), []);

  const ask = useCallback(async (asked: Ask) => {
    const control = new AbortController();
    running.current = control;
    const key = nextKey.current++;
    const batcher = frameBatcher((event) => dispatch({ type: "event", key, event }));
    const history = historyOf(latest.current);
    dispatch({ type: "asked", key, ...asked });
    try {
      await streamRun({ ...asked, history }, control.signal, batcher.push);
    } catch (error) {
      batcher.flush();
      if (isAbort(error)) dispatch({ type: "stopped", key });
      else dispatch({ type: "failed", key, error: asApiError(error) });
    } finally {
      if (running.current === control) running.current = null;
    }
  }, []);

  const clear = useCallback(() => {
    running.current?.abort();
    dispatch({ type: "cleared" });
  }, []);

  return { chat, ask, stop, clear };
}
