/** The collections and which of them is picked; the pick is kept in this browser. */
import { useCallback, useState } from "react";
import { listCollections } from "../api/client";
import type { Collection } from "../api/types";
import { recall, remember } from "../lib/storage";
import { useLoad } from "./useLoad";

const KEY = "larder.collection";

export interface Picked {
  collections: Collection[] | null;
  picked: Collection | null;
  pick: (name: string) => void;
  error: string | null;
  reload: () => void;
}

export function useCollections(): Picked {
  const { value, error, reload } = useLoad(listCollections);
  const [name, setName] = useState(() => recall(KEY));
  const pick = useCallback((next: string) => {
    remember(KEY, next);
    setName(next);
  }, []);
  const picked = value?.find((item) => item.name === name) ?? value?.[0] ?? null;
  return { collections: value, picked, pick, error, reload };
}
