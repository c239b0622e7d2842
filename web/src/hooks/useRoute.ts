/** The page named in the address after `#`, for instance `#/admin/runs/abc`. */
import { useSyncExternalStore } from "react";

export type Page = "chat" | "documents" | "admin";

export interface Route {
  page: Page;
  runId: string | null; // only on admin: whose plan is open
}

export function parseRoute(hash: string): Route {
  const [page, section, rest] = hash.replace(/^#\/?/, "").split("/");
  if (page === "documents") return { page, runId: null };
  if (page !== "admin") return { page: "chat", runId: null };
  return { page, runId: section === "runs" && rest ? decodeURIComponent(rest) : null };
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener("hashchange", onChange);
  return () => window.removeEventListener("hashchange", onChange);
}

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => window.location.hash));
}
