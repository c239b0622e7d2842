import { describe, expect, it } from "vitest";
import type { Doc } from "../api/types";
import { isSettled, progressOf } from "./documents";

const doc = (part: Partial<Doc>): Doc => ({
  id: 1,
  collection_id: 1,
  name: "a.md",
  title: "A",
  source: "uploads",
  media_type: "text/markdown",
  size_bytes: 10,
  state: "received",
  error: null,
  chunks: 8,
  chunks_embedded: 0,
  chunks_cached: 0,
  tokens: 0,
  created_at: "2026-11-06T10:00:00Z",
  ...part,
});

describe("progressOf", () => {
  it("has no known end while the file is read", () => {
    expect(progressOf(doc({}))?.share).toBeNull();
  });

  it("counts embedded passages, then stored ones", () => {
    expect(progressOf(doc({ state: "chunked", chunks_embedded: 2 }))).toEqual({
      text: "Indexing passages, 2 of 8",
      share: 0.25,
    });
    expect(progressOf(doc({ state: "indexed", chunks_embedded: 8, chunks_cached: 4 }))?.share).toBe(0.5);
  });

  it("is over when the document is ready or failed", () => {
    expect((["ready", "failed"] as const).map((state) => progressOf(doc({ state })))).toEqual([null, null]);
    expect(isSettled(doc({ state: "indexed" }))).toBe(false);
  });
});
