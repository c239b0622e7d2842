/** First questions for the two demo collections. */

const EXAMPLES: Record<string, readonly string[]> = {
  "larder-docs": [
    "What does reuse mode exact do?",
    "Where are KV caches kept?",
    "How is a source's reliability used?",
  ],
  millbrook: [
    "How long is the Millbrook bridge?",
    "When did the bridge open?",
    "Who designed the bridge?",
  ],
};

export const examplesFor = (collection: string): readonly string[] => EXAMPLES[collection] ?? [];
