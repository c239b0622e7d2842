/** Loads something, keeps the last good value, and can repeat. Knows no route. */
import { useCallback, useEffect, useState } from "react";
import { isAbort, messageOf } from "../api/problem";

export interface Loaded<T> {
  value: T | null;
  error: string | null;
  reload: () => void;
}

/** `load` must be stable (a module function or useCallback): a new one loads at once.
 * With `everyMs` it repeats while the page is visible, never overlapping itself. */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  everyMs: number | null = null,
): Loaded<T> {
  const [state, setState] = useState<{ value: T | null; error: string | null }>({
    value: null,
    error: null,
  });
  const [round, setRound] = useState(0);
  const reload = useCallback(() => setRound((n) => n + 1), []);

  useEffect(() => {
    const control = new AbortController();
    let timer = 0;
    const tick = async () => {
      if (everyMs === null || !document.hidden) await once();
      if (everyMs !== null && !control.signal.aborted) timer = window.setTimeout(tick, everyMs);
    };
    const once = async () => {
      try {
        const value = await load(control.signal);
        if (!control.signal.aborted) setState({ value, error: null });
      } catch (error) {
        if (isAbort(error) || control.signal.aborted) return;
        setState((last) => ({ value: last.value, error: messageOf(error) }));
      }
    };
    void tick();
    return () => {
      control.abort();
      window.clearTimeout(timer);
    };
  }, [load, everyMs, round]);

  return { ...state, reload };
}
