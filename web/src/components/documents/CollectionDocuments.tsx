/** One collection: upload into it, see what it holds, delete from it. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Collection, Doc, Purged, Source } from "../../api/types";
import { useDocuments } from "../../hooks/useDocuments";
import { useUploads } from "../../hooks/useUploads";
import { formatBytes, plural } from "../../lib/format";
import { Button } from "../ui/Button";
import { Empty } from "../ui/Empty";
import { Notice } from "../ui/Notice";
import { DeleteDialog } from "./DeleteDialog";
import { DocumentRow, titleOf } from "./DocumentRow";
import { DropZone } from "./DropZone";
import { SendingList } from "./SendingList";

interface Props {
  collection: Collection;
  sources: Source[];
  onChanged: () => void;
}

const deletedText = (doc: Doc, purged: Purged | null) =>
  purged
    ? `“${titleOf(doc)}” is gone: ${plural(purged.chunks, "passage")} and ` +
      `${plural(purged.kv_entries, "stored entry", "stored entries")} (${formatBytes(purged.kv_bytes)}).`
    : `“${titleOf(doc)}” is found no more; a job removes what is left of it.`;

export function CollectionDocuments({ collection, sources, onChanged }: Props) {
  const { docs, hasMore, error, loadMore, put, drop } = useDocuments(collection.id, onChanged);
  const onTaken = useCallback(
    (doc: Doc) => {
      put(doc);
      onChanged();
    },
    [put, onChanged],
  );
  const { uploads, add, dismiss } = useUploads(collection.id, onTaken);
  const [deleting, setDeleting] = useState<Doc | null>(null);
  const [done, setDone] = useState("");
  const status = useRef<HTMLParagraphElement>(null);

  // The button that had the focus is gone with its row: the outcome takes it.
  useEffect(() => {
    if (done) status.current?.focus();
  }, [done]);

  const onDeleted = (doc: Doc, purged: Purged | null) => {
    setDeleting(null);
    setDone(deletedText(doc, purged));
    drop(doc.id);
    onChanged();
  };

  return (
    <div className="space-y-4">
      <DropZone sources={sources.map(({ name }) => name)} onFiles={add} />
      <SendingList uploads={uploads} onDismiss={dismiss} />
      <p ref={status} role="status" tabIndex={-1} className="text-sm text-muted outline-none empty:hidden">
        {done}
      </p>
      {error && <Notice kind="error">{error}</Notice>}
      {docs === null && !error && <p className="text-sm text-muted">Loading…</p>}
      {docs?.length === 0 && (
        <Empty title="No documents yet">
          Drop some files above. Each can be asked about as soon as it is searchable.
        </Empty>
      )}
      {docs && docs.length > 0 && (
        <ul
          aria-label={`Documents in ${collection.name}`}
          className="rounded-2xl border border-line bg-surface py-1 pr-2 pl-4 shadow-card"
        >
          {docs.map((doc) => (
            <DocumentRow key={doc.id} doc={doc} onDelete={setDeleting} />
          ))}
        </ul>
      )}
      {hasMore && <Button onClick={loadMore}>Show more</Button>}
      {deleting && (
        <DeleteDialog doc={deleting} onClose={() => setDeleting(null)} onDeleted={onDeleted} />
      )}
    </div>
  );
}
