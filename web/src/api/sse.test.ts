import { describe, expect, it } from "vitest";
import { readMessages, type SseMessage, SseParser } from "./sse";

const STREAM = 'id: 1\nevent: message.delta\ndata: {"text":"a"}\n\n: keep open\n\nid: 2\ndata: one\ndata: two\n\n';
const EXPECTED: SseMessage[] = [
  { event: "message.delta", data: '{"text":"a"}', id: "1" },
  { event: "message", data: "one\ntwo", id: "2" },
];

function parse(slices: string[]): SseMessage[] {
  const parser = new SseParser();
  return slices.flatMap((slice) => parser.push(slice));
}

describe("SseParser", () => {
  it("reads events, joins data lines and skips comments", () => {
    expect(parse([STREAM])).toEqual(EXPECTED);
  });

  it("gives the same messages wherever the stream is split", () => {
    for (let at = 0; at <= STREAM.length; at++) {
      expect(parse([STREAM.slice(0, at), STREAM.slice(at)])).toEqual(EXPECTED);
    }
  });

  it.each(["\r\n", "\r"])("takes %j as a line end, split anywhere", (end) => {
    const stream = `${STREAM.replaceAll("\n", end)}:\n`;
    for (let at = 0; at <= stream.length; at++) {
      expect(parse([stream.slice(0, at), stream.slice(at)])).toEqual(EXPECTED);
    }
  });

  it("drops a byte order mark and events without data", () => {
    expect(parse(["\uFEFFevent: ping\n\ndata:x\n\n"])).toEqual([
      { event: "message", data: "x", id: null },
    ]);
  });

  it("keeps a space that belongs to the data", () => {
    expect(parse(["data:  x\n\n"])[0]?.data).toBe(" x");
  });
});

describe("readMessages", () => {
  it("decodes characters split between two reads", async () => {
    const bytes = new TextEncoder().encode("data: größer\n\ndata: unfinished");
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const messages: SseMessage[] = [];
    for await (const message of readMessages(body)) messages.push(message);
    expect(messages.map((message) => message.data)).toEqual(["größer"]);
  });
});
