/** Ask, read, check: the conversation with the question box below and the passage beside it. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Citation, Mode, Trust } from "../api/types";
import { Composer, type ComposerHandle } from "../components/chat/Composer";
import { PassagePanel } from "../components/chat/PassagePanel";
import { Transcript } from "../components/chat/Transcript";
import { Welcome } from "../components/chat/Welcome";
import { Button } from "../components/ui/Button";
import { Icon } from "../components/ui/Icon";
import { Notice } from "../components/ui/Notice";
import type { ChatControl } from "../hooks/useChat";
import { useCollections } from "../hooks/useCollections";
import { isRunning } from "../state/chat";

export function ChatPage({ control }: { control: ChatControl }) {
  const { chat, ask, stop, clear } = control;
  const { collections, picked, pick, error, reload } = useCollections();
  const [mode, setMode] = useState<Mode>("auto");
  const [trust, setTrust] = useState<Trust | null>(null);
  const [citation, setCitation] = useState<Citation | null>(null);
  const composer = useRef<ComposerHandle>(null);
  const closePassage = useCallback(() => setCitation(null), []);
  const running = isRunning(chat.turns.at(-1));

  // Where a keyboard is at hand, typing can start at once; on a phone it would cover the page.
  useEffect(() => {
    if (window.matchMedia("(pointer: fine)").matches) composer.current?.focus();
  }, []);

  const onAsk = (question: string) => {
    if (picked) ask({ question, collection: picked.name, mode, ...(trust && { trust }) });
  };
  const onNew = () => {
    clear();
    setCitation(null);
    composer.current?.focus();
  };

  return (
    <div className="flex h-full">
      <div className="flex min-w-0 flex-1 flex-col">
        {chat.turns.length > 0 && (
          <div className="flex shrink-0 justify-end px-4 py-2">
            <Button look="quiet" onClick={onNew}>
              <Icon name="plus" className="size-4" />
              New chat
            </Button>
          </div>
        )}
        <div data-scroller className="relative flex min-h-0 flex-1 flex-col overflow-y-auto px-4 sm:px-6">
          <div className="mx-auto flex w-full max-w-3xl flex-1 flex-col">
            {error && (
              <div className="pt-4">
                <Notice kind="error" action={<Button onClick={reload}>Try again</Button>}>
                  {error}
                </Notice>
              </div>
            )}
            {chat.turns.length === 0 ? (
              <Welcome
                collections={collections}
                collection={picked}
                failed={error !== null}
                onAsk={onAsk}
              />
            ) : (
              <div className="pt-4">
                <h1 className="sr-only">Chat</h1>
                <Transcript turns={chat.turns} onOpen={setCitation} />
              </div>
            )}
          </div>
        </div>
        <div className="shrink-0 px-3 pt-1 pb-3 sm:px-6 sm:pb-5">
          <div className="mx-auto max-w-3xl">
            <Composer
              ref={composer}
              collections={collections ?? []}
              collection={picked?.name ?? ""}
              onCollection={pick}
              mode={mode}
              onMode={setMode}
              trust={trust}
              onTrust={setTrust}
              running={running}
              onAsk={onAsk}
              onStop={stop}
            />
          </div>
        </div>
      </div>
      {citation && <PassagePanel citation={citation} onClose={closePassage} />}
    </div>
  );
}
