import type { Doc } from "../../api/types";
import { progressOf } from "../../lib/documents";
import { formatBytes, formatDateTime, plural } from "../../lib/format";
import { Button } from "../ui/Button";
import { Icon } from "../ui/Icon";
import { Progress } from "../ui/Progress";

interface Props {
  doc: Doc;
  onDelete: (doc: Doc) => void;
}

const LOOKS: Record<Doc["state"], { text: string; look: string }> = {
  received: { text: "Reading", look: "bg-sunken text-muted" },
  chunked: { text: "Indexing", look: "bg-sunken text-muted" },
  indexed: { text: "Searchable", look: "bg-accent-soft text-accent" },
  ready: { text: "Ready", look: "bg-accent-soft text-accent" },
  failed: { text: "Failed", look: "bg-danger-soft text-danger" },
};

export const titleOf = (doc: Doc) => doc.title || doc.name;

function facts(doc: Doc): string {
  const parts = [doc.source, formatBytes(doc.size_bytes)];
  if (doc.chunks > 0) parts.push(plural(doc.chunks, "passage"), plural(doc.tokens, "token"));
  return [...parts, formatDateTime(doc.created_at)].join(" · ");
}

export function DocumentRow({ doc, onDelete }: Props) {
  const progress = progressOf(doc);
  const { text, look } = LOOKS[doc.state];
  return (
    <li className="flex items-start gap-3 border-t border-line py-3 first:border-t-0">
      <div className="min-w-0 flex-1">
        <div className="flex flex-wrap items-center gap-x-2.5 gap-y-1">
          <p className="min-w-0 font-medium break-words">{titleOf(doc)}</p>
          <span className={`rounded-full px-2 py-0.5 text-xs font-medium ${look}`}>{text}</span>
        </div>
        <p className="mt-0.5 text-sm break-words text-muted">{facts(doc)}</p>
        {progress && (
          <div className="mt-2 max-w-md">
            <Progress label={`${titleOf(doc)}: ${progress.text}`} share={progress.share} />
            <p className="mt-1 text-xs text-muted">{progress.text}</p>
          </div>
        )}
        {doc.state === "failed" && (
          <p className="mt-1 text-sm text-danger">{doc.error ?? "The server gave no reason."}</p>
        )}
      </div>
      <Button look="quiet" square aria-label={`Delete ${titleOf(doc)}`} onClick={() => onDelete(doc)}>
        <Icon name="trash" className="size-4.5" />
      </Button>
    </li>
  );
}
