import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RunEvent } from "../api/runs";
import { events } from "../state/fixtures";
import { frameBatcher } from "./useChat";

const delta = (text: string): RunEvent => ({ name: "message.delta", data: { text } });

describe("frameBatcher", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["requestAnimationFrame", "cancelAnimationFrame"] }));
  afterEach(() => void vi.useRealTimers());

  it("joins the text of one frame and keeps it before later events", () => {
    const seen: RunEvent[] = [];
    const batcher = frameBatcher((event) => seen.push(event));
    const citation = events[6] as RunEvent;
    batcher.push(delta("a"));
    batcher.push(delta("b"));
    expect(seen).toEqual([]);
    vi.advanceTimersToNextFrame();
    batcher.push(delta("c"));
    batcher.push(citation);
    expect(seen).toEqual([delta("ab"), delta("c"), citation]);
  });
});
