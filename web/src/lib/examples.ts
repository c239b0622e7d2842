/** First questions for the two demo collections: such as the bundled small model can answer. */

const EXAMPLES: Record<string, readonly string[]> = {
  "larder-docs": ["What does reuse mode exact do?"],
  millbrook: [
    "How long is the Millbrook bridge?",
    "How many people live in Millbrook?",
    "Who designed the bridge?",
  ],
};

export const examplesFor = (collection: string): readonly string[] => EXAMPLES[collection] ?? [];
