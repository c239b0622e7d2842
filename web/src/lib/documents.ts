/** What a document's state means to the person who uploaded it. */
import type { Doc } from "../api/types";

export const isSettled = (doc: Doc) => doc.state === "ready" || doc.state === "failed";

export interface Progress {
  text: string;
  share: number | null; // null: at work, end unknown
}

/** Passages are first made findable, then their KV is computed: two counts, one bar each. */
export function progressOf(doc: Doc): Progress | null {
  switch (doc.state) {
    case "received":
      return { text: "Reading the file", share: null };
    case "chunked":
      return counted("Indexing passages", doc.chunks_embedded, doc.chunks);
    case "indexed":
      return counted("Searchable; storing passages for reuse", doc.chunks_cached, doc.chunks);
    case "ready":
    case "failed":
      return null;
  }
}

function counted(text: string, done: number, all: number): Progress {
  if (all === 0) return { text, share: null };
  return { text: `${text}, ${done} of ${all}`, share: done / all };
}
