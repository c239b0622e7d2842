/** The question box with its choices. Enter sends, Shift+Enter starts a new line. */
import { type KeyboardEvent, type Ref, useEffect, useImperativeHandle, useRef, useState } from "react";
import type { Collection, Mode, Trust } from "../../api/types";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Select } from "../ui/Select";

export interface ComposerHandle {
  focus: () => void;
}

interface Props {
  collections: Collection[];
  collection: string;
  onCollection: (name: string) => void;
  mode: Mode;
  onMode: (mode: Mode) => void;
  trust: Trust | null;
  onTrust: (trust: Trust | null) => void;
  running: boolean;
  onAsk: (question: string) => void;
  onStop: () => void;
  ref?: Ref<ComposerHandle>;
}

const MODES: { value: Mode; text: string }[] = [
  { value: "auto", text: "Reuse: auto" },
  { value: "exact", text: "Reuse: exact" },
  { value: "off", text: "Reuse: off" },
];

const MODE_HELP: Record<Mode, string> = {
  auto: "Stored passages are reused and partly repaired",
  exact: "Only what is exact in its place is reused",
  off: "The whole prompt is computed",
};

const TRUSTS: { value: Trust | ""; text: string }[] = [
  { value: "", text: "Trust: default" },
  { value: "plain", text: "Trust: plain" },
  { value: "weighted", text: "Trust: weighted" },
  { value: "tagged", text: "Trust: tagged" },
  { value: "vote", text: "Trust: vote" },
];

const TRUST_HELP: Record<Trust | "", string> = {
  "": "The reliability of sources is used as the server is set",
  plain: "The reliability of sources plays no part",
  weighted: "Better believed sources come first",
  tagged: "The prompt also says how far each source is trusted",
  vote: "Each passage is asked alone, then their answers are weighed",
};

export function Composer(props: Props) {
  const { collections, collection, mode, trust, running } = props;
  const [text, setText] = useState("");
  const box = useRef<HTMLTextAreaElement>(null);
  useImperativeHandle(props.ref, () => ({ focus: () => box.current?.focus() }), []);

  useEffect(() => {
    if (box.current === null) return;
    box.current.style.height = "auto";
    box.current.style.height = `${Math.min(box.current.scrollHeight, 200)}px`;
  }, [text]);

  const ready = text.trim() !== "" && collection !== "" && !running;
  const send = () => {
    if (!ready) return;
    props.onAsk(text.trim());
    setText("");
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes a character, Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      className="rounded-2xl border border-line bg-surface p-2 shadow-raised has-[textarea:focus-visible]:border-accent has-[textarea:focus-visible]:ring-2 has-[textarea:focus-visible]:ring-accent/25"
    >
      <textarea
        ref={box}
        rows={1}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        aria-label="Question"
        placeholder="Ask your documents"
        className="block max-h-50 w-full resize-none bg-transparent px-2.5 pt-1.5 pb-2 text-base outline-none placeholder:text-muted"
      />
      <div className="flex flex-wrap items-center gap-2 sm:flex-nowrap">
        <Select
          label="Collection"
          className="flex-1 max-sm:basis-full sm:max-w-48 sm:flex-none"
          value={collection}
          disabled={collections.length === 0}
          onChange={(event) => props.onCollection(event.target.value)}
          options={
            collections.length === 0
              ? [{ value: "", text: "No collection" }]
              : collections.map(({ name }) => ({ value: name, text: name }))
          }
        />
        <Select
          label="Reuse mode"
          title={MODE_HELP[mode]}
          className="flex-1 sm:flex-none"
          value={mode}
          onChange={(event) => props.onMode(event.target.value as Mode)}
          options={MODES}
        />
        <Select
          label="Trust in sources"
          title={TRUST_HELP[trust ?? ""]}
          className="flex-1 sm:flex-none"
          value={trust ?? ""}
          onChange={(event) => props.onTrust((event.target.value || null) as Trust | null)}
          options={TRUSTS}
        />
        <span className="ml-auto" />
        {running ? (
          <Button look="plain" square aria-label="Stop" title="Stop" onClick={props.onStop}>
            <Icon name="stop" />
          </Button>
        ) : (
          // Not `disabled`: it takes Stop's place, and a disabled button would drop the focus.
          <Button look="primary" square type="submit" aria-label="Send" title="Send" aria-disabled={!ready}>
            <Icon name="send" />
          </Button>
        )}
      </div>
    </form>
  );
}
