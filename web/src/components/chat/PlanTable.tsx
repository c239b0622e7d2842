/** The plan segment by segment: what happened to each passage and why. */
import type { Segment } from "../../api/types";
import { formatCount } from "../../lib/format";
import { ENCODING_NAMES, explain, nameOf, TIER_NAMES } from "../../lib/reasons";
import { ORIGIN_COLOURS, segmentTitle } from "../../lib/segments";
import { Swatch } from "../ui/Swatch";

const ACTION_NAMES: Record<Segment["action"], string> = {
  exact: "Exact",
  reused: "Reused",
  computed: "Computed",
};

const HEAD = "px-2 py-1.5 font-medium first:pl-0 last:pr-0";
const CELL = "px-2 py-2 align-top first:pl-0 last:pr-0";
const WIDE_ONLY = "max-sm:hidden";

const tierOf = (segment: Segment) => (segment.tier ? nameOf(TIER_NAMES, segment.tier) : "–");
const encodingOf = (segment: Segment) =>
  segment.encoding ? nameOf(ENCODING_NAMES, segment.encoding) : "–";

/** On phones the columns that are left out become words in a second row. */
function details(segment: Segment): string {
  if (segment.action === "computed") return "";
  const from = tierOf(segment).toLowerCase();
  const how = segment.encoding ? `, encoded ${encodingOf(segment)}` : "";
  return `From ${from}${how}; ${formatCount(segment.recomputed)} recomputed.`;
}

function Row({ segment }: { segment: Segment }) {
  return (
    <>
      <tr className="border-t border-line">
        <th scope="row" className={`${CELL} text-left font-normal`}>
          <span className="font-medium break-words">{segmentTitle(segment)}</span>
          <span className={`block text-xs text-muted ${WIDE_ONLY}`} title={segment.reason}>
            {explain(segment.reason)}
          </span>
        </th>
        <td className={`${CELL} text-right tabular-nums`}>{formatCount(segment.tokens)}</td>
        <td className={CELL}>
          <span className="inline-flex items-center gap-1.5 whitespace-nowrap">
            <Swatch colour={ORIGIN_COLOURS[segment.action]} />
            {ACTION_NAMES[segment.action]}
          </span>
        </td>
        <td className={`${CELL} ${WIDE_ONLY} text-right tabular-nums`}>
          {segment.action === "computed" ? "–" : formatCount(segment.recomputed)}
        </td>
        <td className={`${CELL} ${WIDE_ONLY}`}>{tierOf(segment)}</td>
        <td className={`${CELL} ${WIDE_ONLY} whitespace-nowrap`}>{encodingOf(segment)}</td>
      </tr>
      <tr className="sm:hidden">
        <td colSpan={3} className="pb-2 text-xs text-muted">
          {explain(segment.reason)} {details(segment)}
        </td>
      </tr>
    </>
  );
}

export function PlanTable({ segments }: { segments: readonly Segment[] }) {
  return (
    <table className="w-full border-collapse text-sm">
      <caption className="sr-only">What happened to each part of the prompt</caption>
      <thead className="text-left text-xs text-muted">
        <tr>
          <th className={HEAD}>Passage</th>
          <th className={`${HEAD} text-right`}>Tokens</th>
          <th className={HEAD}>Action</th>
          <th className={`${HEAD} ${WIDE_ONLY} text-right`}>Recomputed</th>
          <th className={`${HEAD} ${WIDE_ONLY}`}>Tier</th>
          <th className={`${HEAD} ${WIDE_ONLY}`}>Encoding</th>
        </tr>
      </thead>
      <tbody>
        {segments.map((segment, index) => (
          <Row key={`${index}-${segment.chunk_id ?? segment.kind}`} segment={segment} />
        ))}
      </tbody>
    </table>
  );
}
