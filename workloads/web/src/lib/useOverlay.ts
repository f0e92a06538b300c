import { useCallback, useEffect, useState } from "react";
import { overlayIn, type Overlay } from "./place";

/** The page over the chat that is shown. It has a path, so a reload shows it again. */
export function useOverlay() {
  const [shown, setShown] = useState(() => overlayIn(location.pathname));
  useEffect(() => {
    const sync = () => setShown(overlayIn(location.pathname));
    window.addEventListener("popstate", sync);
    return () => window.removeEventListener("popstate", sync);
  }, []);
  const show = useCallback((overlay: Overlay) => {
    if (overlayIn(location.pathname) === overlay) return;
    history.pushState(null, "", overlay);
    setShown(overlay);
  }, []);
  /** Leaves it for another path. */
  const leave = useCallback((path: string) => {
    history.pushState(null, "", path);
    setShown(null);
  }, []);
  return { shown, show, leave };
}
