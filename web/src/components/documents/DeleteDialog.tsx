/** Asks before a document goes, and deletes it. */
import { useState } from "react";
import { deleteDocument } from "../../api/client";
import { messageOf } from "../../api/problem";
import type { Doc, Purged } from "../../api/types";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Notice } from "../ui/Notice";
import { titleOf } from "./DocumentRow";

interface Props {
  doc: Doc;
  onClose: () => void;
  onDeleted: (doc: Doc, purged: Purged | null) => void;
}

export function DeleteDialog({ doc, onClose, onDeleted }: Props) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const remove = async () => {
    setBusy(true);
    try {
      onDeleted(doc, await deleteDocument(doc.id));
    } catch (failure) {
      setError(messageOf(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Delete “${titleOf(doc)}”?`} onClose={onClose}>
      <p className="text-muted">
        Its text, its passages and everything stored for reuse go with it. This cannot be undone.
      </p>
      {error && (
        <div className="mt-3">
          <Notice kind="error">{error}</Notice>
        </div>
      )}
      <div className="mt-5 flex justify-end gap-2">
        <Button data-autofocus onClick={onClose}>
          Keep it
        </Button>
        <Button look="danger" disabled={busy} onClick={remove}>
          Delete
        </Button>
      </div>
    </Dialog>
  );
}
