/** The frame of every page: brand, navigation (at the bottom on phones), theme. */
import type { ReactNode } from "react";
import type { Page } from "../hooks/useRoute";
import { Icon, type IconName, Logo } from "./ui/Icon";
import { ThemeToggle } from "./ThemeToggle";

const PAGES: { page: Page; text: string; icon: IconName }[] = [
  { page: "chat", text: "Chat", icon: "chat" },
  { page: "documents", text: "Documents", icon: "documents" },
  { page: "admin", text: "Admin", icon: "admin" },
];

export function Shell({ page, children }: { page: Page; children: ReactNode }) {
  return (
    <div className="flex h-dvh flex-col overflow-hidden">
      <button
        type="button"
        onClick={() => document.getElementById("main")?.focus()}
        className="sr-only focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-20 focus:rounded-lg focus:bg-surface focus:px-3 focus:py-2"
      >
        Skip to content
      </button>
      <header className="flex h-14 shrink-0 items-center gap-6 border-b border-line bg-surface px-4 sm:px-6">
        <a href="#/chat" className="flex items-center gap-2 rounded-md">
          <Logo />
          <span className="text-lg font-semibold tracking-tight">Larder</span>
        </a>
        <nav aria-label="Pages" className="hidden flex-1 gap-1 sm:flex">
          {PAGES.map((item) => (
            <a
              key={item.page}
              href={`#/${item.page}`}
              aria-current={item.page === page ? "page" : undefined}
              className="rounded-lg px-3 py-1.5 text-sm font-medium text-muted transition-colors hover:bg-sunken hover:text-ink aria-[current]:bg-accent-soft aria-[current]:text-accent"
            >
              {item.text}
            </a>
          ))}
        </nav>
        <span className="ml-auto" />
        <ThemeToggle />
      </header>
      <main id="main" tabIndex={-1} className="relative min-h-0 flex-1 outline-none">
        {children}
      </main>
      <nav
        aria-label="Pages"
        className="grid shrink-0 grid-cols-3 border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] sm:hidden"
      >
        {PAGES.map((item) => (
          <a
            key={item.page}
            href={`#/${item.page}`}
            aria-current={item.page === page ? "page" : undefined}
            className="flex flex-col items-center gap-0.5 py-2 text-xs font-medium text-muted -outline-offset-2 aria-[current]:text-accent"
          >
            <Icon name={item.icon} />
            {item.text}
          </a>
        ))}
      </nav>
    </div>
  );
}
