import { afterEach, describe, expect, it, vi } from "vitest";
import { events } from "../state/fixtures";
import { decodeEvent, type RunEvent, type RunRequest, streamRun } from "./runs";

const REQUEST: RunRequest = { question: "q", collection: "c", mode: "auto", history: [] };
const asStream = (list: RunEvent[]) =>
  list.map(({ name, data }) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");

async function collect(reply: Response): Promise<RunEvent[]> {
  vi.stubGlobal("fetch", vi.fn(async () => reply));
  const seen: RunEvent[] = [];
  await streamRun(REQUEST, new AbortController().signal, (event) => seen.push(event));
  return seen;
}

afterEach(() => vi.unstubAllGlobals());

describe("streamRun", () => {
  it("passes on every event of a run in order", async () => {
    expect(await collect(new Response(asStream(events)))).toEqual(events);
  });

  it("says so when the stream breaks off", async () => {
    const reply = new Response(asStream(events.slice(0, -1)));
    await expect(collect(reply)).rejects.toThrow("connection ended before the answer was complete");
  });

  it("shows the detail of a refused request", async () => {
    const reply = new Response(JSON.stringify({ title: "x", status: 404, detail: "No such collection.", code: "c" }), {
      status: 404,
    });
    await expect(collect(reply)).rejects.toThrow("No such collection.");
  });
});

describe("decodeEvent", () => {
  it("ignores names it does not know", () => {
    expect(decodeEvent({ event: "later", data: "{}", id: null })).toBeNull();
  });

  it("names the field that is wrong", () => {
    expect(() => decodeEvent({ event: "message.delta", data: '{"text":1}', id: null })).toThrow(
      "message.delta.text: text expected, got number",
    );
  });
});
