import { useEffect } from "react";
import { approvals } from "../api/approvals";
import type { Approval } from "../api/types";
import { usePages, type Pages } from "./usePages";

/** Milliseconds between two looks: programs ask, too, and this page does not hear of it. */
const LOOK_EVERY = 60_000;

/** What waits for the person's consent; read again with each `version`, and while the page is seen. */
export function useWaiting(version: number, onError: (error: unknown) => void): Pages<Approval> {
  const pages = usePages<Approval>(approvals.pending, onError, version);
  const { reload } = pages;
  useEffect(() => {
    const look = () => {
      if (document.visibilityState === "visible") reload();
    };
    const timer = setInterval(look, LOOK_EVERY);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [reload]);
  return pages;
}
