/** Says at the top of the page that passages are not reused, why, and what to do about it. */
import type { Cache } from "../../api/types";
import { explain, parseReason } from "../../lib/reasons";
import { Notice } from "../ui/Notice";

export function ReuseNotice({ reuse }: { reuse: Cache["chunk_reuse"] }) {
  if (reuse.allowed) return null;
  const { code, sentence } = parseReason(reuse.reason);
  return (
    <Notice kind="warning">
      <p className="font-semibold">{explain(code)}</p>
      {sentence && <p className="mt-0.5">{sentence}</p>}
    </Notice>
  );
}
