import { useCallback, useEffect, useState } from "react";
import type { Citation } from "../api/types";

/**
 * The passage that is shown beside the conversation that cites it. It goes when another conversation
 * is opened, and with every step in the history.
 */
export function useCitation(conversation: string | null) {
  const [shown, setShown] = useState<{ citation: Citation; of: string | null } | null>(null);
  const show = useCallback(
    (citation: Citation) => setShown({ citation, of: conversation }),
    [conversation],
  );
  const close = useCallback(() => setShown(null), []);
  useEffect(() => {
    window.addEventListener("popstate", close);
    return () => window.removeEventListener("popstate", close);
  }, [close]);
  return { citation: shown?.of === conversation ? shown.citation : null, show, close };
}
