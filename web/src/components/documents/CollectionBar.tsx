/** Pick a collection or create one. */
import { type FormEvent, useId, useState } from "react";
import { createCollection } from "../../api/client";
import { messageOf } from "../../api/problem";
import type { Picked } from "../../hooks/useCollections";
import { plural } from "../../lib/format";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Icon } from "../ui/Icon";
import { Notice } from "../ui/Notice";
import { Select } from "../ui/Select";

function CreateDialog({ onClose, onCreated }: { onClose: () => void; onCreated: (name: string) => void }) {
  const [name, setName] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const fieldId = useId();

  const create = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      onCreated((await createCollection(name.trim())).name);
    } catch (failure) {
      setError(messageOf(failure));
      setBusy(false);
    }
  };

  return (
    <Dialog title="New collection" onClose={onClose}>
      <form onSubmit={create} className="space-y-4">
        <div>
          <label htmlFor={fieldId} className="text-sm font-medium">
            Name
          </label>
          <input
            id={fieldId}
            data-autofocus
            required
            value={name}
            onChange={(event) => setName(event.target.value)}
            className="mt-1 h-10 w-full rounded-lg border border-line bg-canvas px-3"
          />
          <p className="mt-1 text-sm text-muted">
            Questions are asked of one collection, so keep together what belongs together.
          </p>
        </div>
        {error && <Notice kind="error">{error}</Notice>}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" disabled={busy || name.trim() === ""}>
            Create
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

export function CollectionBar({ state }: { state: Picked }) {
  const { collections, picked, pick, reload } = state;
  const [creating, setCreating] = useState(false);
  return (
    <div className="flex flex-wrap items-center gap-3">
      {collections && collections.length > 0 && (
        <Select
          label="Collection"
          className="flex-1 sm:w-56 sm:flex-none"
          value={picked?.name ?? ""}
          onChange={(event) => pick(event.target.value)}
          options={collections.map(({ name }) => ({ value: name, text: name }))}
        />
      )}
      <Button onClick={() => setCreating(true)}>
        <Icon name="plus" className="size-4" />
        New collection
      </Button>
      {picked && (
        <p className="text-sm text-muted max-sm:w-full">
          {plural(picked.documents, "document")}, {plural(picked.chunks, "passage")},{" "}
          {plural(picked.tokens, "token")}
        </p>
      )}
      {creating && (
        <CreateDialog
          onClose={() => setCreating(false)}
          onCreated={(name) => {
            setCreating(false);
            pick(name);
            reload();
          }}
        />
      )}
    </div>
  );
}
