import { useCallback, useEffect, useRef, useState } from "react";
import { ask } from "../api/chat";
import { api } from "../api/http";
import type { Citation, Decision, StoredMessage, ToolCall } from "../api/types";
import type { Warning } from "../api/usageTypes";
import { conversationIn, overlayIn, pathOf } from "./place";

/** A message as shown. */
export interface Turn {
  key: string;
  /** The run that wrote it; answers only. By it a new answer is found among the stored ones. */
  runId: string | null;
  role: "user" | "assistant";
  text: string;
  decision: Decision | null;
  citations: Citation[];
  toolCalls: ToolCall[];
  state: "done" | "writing" | "stopped" | "failed";
  /** What was thrown, or the stored failure code. */
  error?: unknown;
}

function idInPath(): string | null {
  return conversationIn(location.pathname);
}

function fromStored(message: StoredMessage): Turn {
  const outcome = message.outcome ?? "ok";
  return {
    key: message.id,
    runId: message.run_id,
    role: message.role === "assistant" ? "assistant" : "user",
    text: message.content,
    decision: message.decision,
    citations: message.citations,
    toolCalls: message.tool_calls,
    state: outcome === "ok" ? "done" : outcome === "cancelled" ? "stopped" : "failed",
    error: outcome,
  };
}

/** Whether a turn is this stored message: one that was just written does not know its id. */
export function isSame(turn: Pick<Turn, "key" | "runId">, message: StoredMessage): boolean {
  return turn.key === message.id || (turn.runId !== null && turn.runId === message.run_id);
}

let keys = 0;
function newTurn(role: Turn["role"], text: string, state: Turn["state"]): Turn {
  return {
    key: "new-" + ++keys,
    runId: null,
    role,
    text,
    decision: null,
    citations: [],
    toolCalls: [],
    state,
  };
}

/** The open conversation. Its id is in the path, so that a reload shows it again. */
export function useConversation(onStored: () => void, onError: (error: unknown) => void) {
  const [id, setId] = useState<string | null>(idInPath);
  const [turns, setTurns] = useState<Turn[]>([]);
  const [loadError, setLoadError] = useState<unknown>(null);
  /** Budgets that the last answer said are nearly used up. */
  const [warnings, setWarnings] = useState<Warning[]>([]);
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);

  const stop = useCallback(() => running.current?.abort(), []);

  const show = useCallback(
    (next: string | null) => {
      stop();
      setId(next);
      setTurns([]);
      setLoadError(null);
      if (!next) return;
      api.conversation(next).then(
        (conversation) => setTurns(conversation.messages.map(fromStored)),
        (error: unknown) => {
          setLoadError(error);
          onError(error);
        },
      );
    },
    [stop, onError],
  );

  const open = useCallback(
    (next: string | null) => {
      history.pushState(null, "", pathOf(next));
      show(next);
    },
    [show],
  );

  const shown = useRef(id);
  shown.current = id;
  useEffect(() => {
    show(idInPath());
    const sync = () => {
      // What is open stays open behind another page, and an answer goes on there.
      if (overlayIn(location.pathname) || idInPath() === shown.current) return;
      show(idInPath());
    };
    window.addEventListener("popstate", sync);
    return () => window.removeEventListener("popstate", sync);
  }, [show]);

  const send = useCallback(
    async (model: string, text: string) => {
      const answer = newTurn("assistant", "", "writing");
      const change = (part: (turn: Turn) => Partial<Turn>) =>
        setTurns((all) =>
          all.map((turn) => (turn.key === answer.key ? { ...turn, ...part(turn) } : turn)),
        );
      const controller = new AbortController();
      running.current = controller;
      setBusy(true);
      setTurns((all) => [...all, newTurn("user", text, "done"), answer]);
      try {
        await ask(
          { model, text, conversationId: id, signal: controller.signal },
          {
            onWarnings: setWarnings,
            onText: (more) => change((turn) => ({ text: turn.text + more })),
            onExtra: (extra) => {
              change(() => ({
                runId: extra.run_id,
                decision: extra.decision,
                citations: extra.citations,
                toolCalls: extra.tool_calls,
              }));
              if (extra.conversation_id && !controller.signal.aborted) {
                if (!overlayIn(location.pathname)) {
                  history.replaceState(null, "", pathOf(extra.conversation_id));
                }
                setId(extra.conversation_id);
              }
            },
          },
        );
        change(() => ({ state: "done" }));
      } catch (error) {
        if (controller.signal.aborted) {
          change(() => ({ state: "stopped" }));
        } else {
          change(() => ({ state: "failed", error }));
          onError(error);
        }
      } finally {
        if (running.current === controller) running.current = null;
        setBusy(running.current !== null);
        onStored();
      }
    },
    [id, onStored, onError],
  );

  /** Goes on from an answer in a new conversation, which has what was said up to it. */
  const branch = useCallback(
    async (turn: Turn) => {
      if (!id) return;
      try {
        const stored = await api.conversation(id);
        const message = stored.messages.find((it) => isSame(turn, it));
        const made = await api.branchConversation(id, message?.id ?? turn.key);
        open(made.id);
        onStored();
      } catch (error) {
        setLoadError(error);
        onError(error);
      }
    },
    [id, open, onStored, onError],
  );

  return { id, turns, busy, loadError, warnings, send, stop, open, branch };
}
