/** An answer's Markdown with citation buttons. HTML inside an answer is shown as text. */
import { memo, useMemo } from "react";
import Markdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import type { Citation } from "../../api/types";
import { placeMarks, rehypeCitations } from "../../lib/citations";
import { CitationButton } from "./CitationButton";

interface Props {
  text: string;
  citations: Citation[];
  onOpen: (citation: Citation) => void;
}

const REMARK = [remarkGfm];
const REHYPE = [rehypeCitations];

/** Documents are not to be trusted with loading pictures from elsewhere. */
const DISALLOWED = ["img"];

export const Answer = memo(function Answer({ text, citations, onOpen }: Props) {
  const components = useMemo<Components>(
    () => ({
      cite({ node }) {
        const citation = citations[Number(node?.properties.dataIndex)];
        return citation ? <CitationButton citation={citation} onOpen={onOpen} /> : null;
      },
      a({ href, children }) {
        return (
          <a href={href} target="_blank" rel="noreferrer">
            {children}
          </a>
        );
      },
    }),
    [citations, onOpen],
  );
  return (
    <div className="prose-answer">
      <Markdown
        remarkPlugins={REMARK}
        rehypePlugins={REHYPE}
        components={components}
        disallowedElements={DISALLOWED}
      >
        {placeMarks(text, citations)}
      </Markdown>
    </div>
  );
});
