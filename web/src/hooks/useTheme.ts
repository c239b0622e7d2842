/** Light, dark or what the system prefers; the choice is kept in this browser. */
import { useCallback, useEffect, useState } from "react";
import { recall, remember } from "../lib/storage";

export type Theme = "system" | "light" | "dark";

const KEY = "larder.theme";
const media = () => window.matchMedia("(prefers-color-scheme: dark)");

function stored(): Theme {
  const value = recall(KEY);
  return value === "light" || value === "dark" ? value : "system";
}

/** Called once before the first render, so that nothing is drawn in the wrong colours. */
export function applyTheme(theme: Theme = stored()): void {
  const dark = theme === "dark" || (theme === "system" && media().matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(stored);

  useEffect(() => {
    applyTheme(theme);
    const query = media();
    const follow = () => applyTheme(theme);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, [theme]);

  const choose = useCallback((next: Theme) => {
    remember(KEY, next === "system" ? null : next);
    setTheme(next);
  }, []);
  return [theme, choose];
}
