/** Where files come in: dropped, or picked with a button. */
import { type ChangeEvent, type DragEvent, useId, useRef, useState } from "react";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";

interface Props {
  sources: string[];
  onFiles: (files: File[], source: string) => void;
}

export function DropZone({ sources, onFiles }: Props) {
  const [source, setSource] = useState("");
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();

  const take = (files: FileList | null) => {
    const taken = [...(files ?? [])];
    if (taken.length > 0) onFiles(taken, source);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer.files);
  };
  const onPick = (event: ChangeEvent<HTMLInputElement>) => {
    take(event.target.files);
    event.target.value = ""; // so that the same file can be picked again
  };

  return (
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={onDrop}
      className={`rounded-2xl border-2 border-dashed px-5 py-6 transition-colors ${over ? "border-accent bg-accent-soft" : "border-line bg-surface"}`}
    >
      <div className="flex flex-col gap-5 sm:flex-row sm:items-end sm:justify-between">
        <div>
          <p className="font-medium">Drop files here</p>
          <p className="mt-0.5 text-sm text-muted">Text, Markdown, HTML, PDF, Office files, e-mail, CSV or JSON Lines; several at once.</p>
          <input
            ref={input}
            type="file"
            multiple
            aria-label="Files to upload"
            tabIndex={-1}
            className="sr-only"
            onChange={onPick}
          />
          <Button look="primary" className="mt-3" onClick={() => input.current?.click()}>
            <Icon name="upload" className="size-4" />
            Choose files
          </Button>
        </div>
        <div className="sm:w-64">
          <label htmlFor={id} className="text-sm font-medium">
            Source
          </label>
          <input
            id={id}
            list={`${id}-known`}
            value={source}
            placeholder="uploads"
            onChange={(event) => setSource(event.target.value)}
            aria-describedby={`${id}-help`}
            className="mt-1 h-9 w-full rounded-lg border border-line bg-canvas px-3 text-sm placeholder:text-muted"
          />
          <datalist id={`${id}-known`}>
            {sources.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
          <p id={`${id}-help`} className="mt-1 text-xs text-muted">
            Who says it. Each source has its own reliability.
          </p>
        </div>
      </div>
    </div>
  );
}
