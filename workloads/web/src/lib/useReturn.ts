import { useEffect } from "react";

/**
 * Hears that the person comes back: to a tab that was not seen (`onSeen`), or by the history to a
 * page that the browser had put aside as it was (`onRestored`).
 */
export function useReturn(onSeen: () => void, onRestored: () => void): void {
  useEffect(() => {
    const seen = () => {
      if (document.visibilityState === "visible") onSeen();
    };
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, [onSeen]);
  useEffect(() => {
    const shown = (event: PageTransitionEvent) => {
      if (event.persisted) onRestored();
    };
    window.addEventListener("pageshow", shown);
    return () => window.removeEventListener("pageshow", shown);
  }, [onRestored]);
}
