/** One collection's documents, newest first, followed until each is ready or has failed. */
import { useCallback, useEffect, useRef, useState } from "react";
import { getDocument, listDocuments } from "../api/client";
import { ApiError, isAbort, messageOf } from "../api/problem";
import type { Doc, Id } from "../api/types";
import { isSettled } from "../lib/documents";

const QUICK_MS = 1000;
const SLOW_MS = 4000; // nothing changed since the last look

export interface Documents {
  docs: Doc[] | null;
  hasMore: boolean;
  error: string | null;
  loadMore: () => void;
  put: (doc: Doc) => void;
  drop: (id: Id) => void;
}

const withDoc = (docs: Doc[] | null, doc: Doc): Doc[] => {
  const old = docs ?? [];
  return old.some((item) => item.id === doc.id)
    ? old.map((item) => (item.id === doc.id ? doc : item))
    : [doc, ...old];
};

/** The document as it is now; null when it was deleted elsewhere. */
async function look(id: Id, signal: AbortSignal): Promise<Doc | null> {
  try {
    return await getDocument(id, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export function useDocuments(collection: Id, onSettled: () => void): Documents {
  const [docs, setDocs] = useState<Doc[] | null>(null);
  const [hasMore, setHasMore] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const latest = useRef<Doc[]>([]);
  useEffect(() => {
    latest.current = docs ?? [];
  }, [docs]);

  const put = useCallback((doc: Doc) => setDocs((old) => withDoc(old, doc)), []);
  const drop = useCallback(
    (id: Id) => setDocs((old) => (old ?? []).filter((doc) => doc.id !== id)),
    [],
  );

  const load = useCallback(
    async (after: Id | null, signal?: AbortSignal) => {
      try {
        const page = await listDocuments(collection, after, signal);
        setDocs((old) => (after === null ? page.items : [...(old ?? []), ...page.items]));
        setHasMore(page.has_more);
        setError(null);
      } catch (failure) {
        if (!isAbort(failure)) setError(messageOf(failure));
      }
    },
    [collection],
  );

  useEffect(() => {
    const control = new AbortController();
    void load(null, control.signal);
    return () => control.abort();
  }, [load]);

  const working = docs?.some((doc) => !isSettled(doc)) ?? false;
  useEffect(() => {
    if (!working) return;
    const control = new AbortController();
    const { signal } = control;
    let timer = 0;
    const tick = async () => {
      let changed = false;
      for (const old of latest.current.filter((doc) => !isSettled(doc))) {
        const now = await look(old.id, signal);
        if (signal.aborted) return;
        changed ||= now === null || JSON.stringify(now) !== JSON.stringify(old);
        if (now === null) drop(old.id);
        else put(now);
        if (now !== null && isSettled(now)) onSettled();
      }
      timer = window.setTimeout(run, changed ? QUICK_MS : SLOW_MS);
    };
    const run = () => {
      tick().catch((failure: unknown) => {
        if (isAbort(failure)) return;
        setError(messageOf(failure));
        timer = window.setTimeout(run, SLOW_MS);
      });
    };
    timer = window.setTimeout(run, QUICK_MS);
    return () => {
      control.abort();
      window.clearTimeout(timer);
    };
  }, [working, put, drop, onSettled]);

  const loadMore = useCallback(() => void load(latest.current.at(-1)?.id ?? null), [load]);
  return { docs, hasMore, error, loadMore, put, drop };
}
