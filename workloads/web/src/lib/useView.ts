import { useEffect, useState } from "react";
import { conversationIn, overlayIn } from "./place";

export type View = "chat" | "conversations" | "documents";
export const VIEWS: View[] = ["chat", "conversations", "documents"];

/**
 * What a small screen shows. A step in the history that leads to another conversation shows that; one
 * to or from a page over the chat leaves it.
 */
export function useView(conversation: string | null) {
  const [view, setView] = useState<View>("chat");
  useEffect(() => {
    const sync = () => {
      const path = location.pathname;
      if (overlayIn(path) === null && conversationIn(path) !== conversation) setView("chat");
    };
    window.addEventListener("popstate", sync);
    return () => window.removeEventListener("popstate", sync);
  }, [conversation]);
  return [view, setView] as const;
}
