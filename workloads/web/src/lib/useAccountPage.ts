import { useCallback, useEffect, useState } from "react";
import { ACCOUNT, isAccount } from "./place";

/** Whether the page of the account is shown. It has a path, so a reload shows it again. */
export function useAccountPage() {
  const [isShown, setShown] = useState(() => isAccount(location.pathname));
  useEffect(() => {
    const sync = () => setShown(isAccount(location.pathname));
    window.addEventListener("popstate", sync);
    return () => window.removeEventListener("popstate", sync);
  }, []);
  const show = useCallback(() => {
    if (isAccount(location.pathname)) return;
    history.pushState(null, "", ACCOUNT);
    setShown(true);
  }, []);
  /** Leaves it for another path. */
  const leave = useCallback((path: string) => {
    history.pushState(null, "", path);
    setShown(false);
  }, []);
  return { isShown, show, leave };
}
