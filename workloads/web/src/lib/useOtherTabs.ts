import { useCallback, useEffect, useRef } from "react";

/** The tabs of this browser hear each other under this name. */
const CHANNEL = "lotoai.session";

/** Hears that the person signed out in another tab. What it gives tells the other tabs. */
export function useOtherTabs(onSignedOut: () => void): () => void {
  const channel = useRef<BroadcastChannel | null>(null);
  useEffect(() => {
    const open = new BroadcastChannel(CHANNEL);
    open.onmessage = () => onSignedOut();
    channel.current = open;
    return () => open.close();
  }, [onSignedOut]);
  return useCallback(() => channel.current?.postMessage("signed-out"), []);
}
