/** Sends files two at a time, so that the browser keeps connections free for following progress.
 * Leaving the page does not stop them. */
import { useCallback, useReducer, useRef } from "react";
import { isAbort, messageOf } from "../api/problem";
import type { Doc, Id } from "../api/types";
import { sendFile } from "../api/upload";
import { type Sending, uploadsReducer } from "../state/uploads";

const AT_ONCE = 2;

interface Job {
  key: number;
  file: File;
  source: string;
}

export interface Uploads {
  uploads: Sending[];
  add: (files: Iterable<File>, source: string) => void;
  dismiss: (key: number) => void;
}

export function useUploads(collection: Id, onTaken: (doc: Doc) => void): Uploads {
  const [uploads, dispatch] = useReducer(uploadsReducer, []);
  const waiting = useRef<Job[]>([]);
  const running = useRef(new Map<number, AbortController>());
  const nextKey = useRef(1);

  const start = useCallback(
    async (job: Job) => {
      const control = new AbortController();
      running.current.set(job.key, control);
      const onSent = (share: number) => dispatch({ type: "progress", key: job.key, share });
      try {
        onTaken(await sendFile({ collection, ...job }, onSent, control.signal));
        dispatch({ type: "removed", key: job.key });
      } catch (error) {
        if (isAbort(error)) dispatch({ type: "removed", key: job.key });
        else dispatch({ type: "failed", key: job.key, error: messageOf(error) });
      }
      running.current.delete(job.key);
      const next = waiting.current.shift();
      if (next) void start(next);
    },
    [collection, onTaken],
  );

  const add = useCallback(
    (files: Iterable<File>, source: string) => {
      for (const file of files) {
        const job = { key: nextKey.current++, file, source };
        dispatch({ type: "added", key: job.key, name: file.name, size: file.size });
        if (running.current.size < AT_ONCE) void start(job);
        else waiting.current.push(job);
      }
    },
    [start],
  );

  const dismiss = useCallback((key: number) => {
    waiting.current = waiting.current.filter((job) => job.key !== key);
    const control = running.current.get(key);
    if (control) control.abort();
    else dispatch({ type: "removed", key });
  }, []);

  return { uploads, add, dismiss };
}
