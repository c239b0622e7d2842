import { describe, expect, it } from "vitest";
import { readReply } from "./upload";

const reply = (item: object) => JSON.stringify({ items: [item] });

describe("readReply", () => {
  it("returns the document", () => {
    const doc = {
      id: 1, collection_id: 1, name: "a.md", title: "A", source: "s", media_type: "text/markdown",
      size_bytes: 3, state: "received", error: null, chunks: 0, chunks_embedded: 0, chunks_cached: 0,
      tokens: 0, created_at: "2026-11-06T10:00:00Z",
    };
    expect(readReply(202, reply(doc))).toEqual(doc);
  });

  it("throws the reason of a refusal", () => {
    const refused = { name: "a.exe", code: "unsupported", detail: "This kind of file cannot be read." };
    expect(() => readReply(202, reply(refused))).toThrow("This kind of file cannot be read.");
  });

  it("throws a problem's detail, or the status where there is none", () => {
    expect(() => readReply(413, JSON.stringify({ detail: "Too large." }))).toThrow("Too large.");
    expect(() => readReply(502, "<html>")).toThrow("status 502");
  });
});
