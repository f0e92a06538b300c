import { useCallback, useEffect, useRef, useState } from "react";
import { ask, decide as tellDecision, type Listener } from "../api/chat";
import { api } from "../api/http";
import type {
  ApprovalRequest,
  Citation,
  Decision,
  Page,
  StoredMessage,
  ToolCall,
  Verdict,
} from "../api/types";
import { keyFor, mayHaveArrived, type Unheard } from "../api/unheard";
import type { Warning } from "../api/usageTypes";
import { conversationIn, overlayIn, pathOf } from "./place";
import { noticing } from "./typed";

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
  /** Calls of tools that it asks consent for. */
  approvals: ApprovalRequest[];
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
    approvals: message.approvals,
    state: outcome === "ok" ? "done" : outcome === "cancelled" ? "stopped" : "failed",
    error: outcome,
  };
}

/** Stored messages, the newest first, as turns, the oldest first. */
export function turnsOf(messages: readonly StoredMessage[]): Turn[] {
  return messages.map(fromStored).reverse();
}

/** Turns with older messages above them. What is shown already stays: one may ask twice for a page. */
export function withOlder(turns: readonly Turn[], messages: readonly StoredMessage[]): Turn[] {
  const keys = new Set(turns.map((turn) => turn.key));
  return [...turnsOf(messages).filter((turn) => !keys.has(turn.key)), ...turns];
}

/** Whether a turn is this stored message: one that was just written does not know its id. */
export function isSame(turn: Pick<Turn, "key" | "runId">, message: StoredMessage): boolean {
  return turn.key === message.id || (turn.runId !== null && turn.runId === message.run_id);
}

/** The id by which a turn is stored; null where it is not. It is looked for page by page, the newest first. */
export async function storedId(
  conversation: string,
  turn: Pick<Turn, "key" | "runId">,
): Promise<string | null> {
  for (let cursor: string | undefined; ; ) {
    const page: Page<StoredMessage> = await api.messages(conversation, cursor);
    const message = page.items.find((it) => isSame(turn, it));
    if (message) return message.id;
    if (page.next_cursor === null) return null;
    cursor = page.next_cursor;
  }
}

/** Whether something ended because it was stopped. */
function isStop(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
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
    approvals: [],
    state,
  };
}

/** What is known of the messages of the open conversation. */
export type Reading = "reading" | "read" | "unread";

/** The open conversation. Its id is in the path, so that a reload shows it again. */
export function useConversation(onStored: () => void, onError: (error: unknown) => void) {
  const [id, setId] = useState<string | null>(idInPath);
  const [turns, setTurns] = useState<Turn[]>([]);
  const [reading, setReading] = useState<Reading>(() => (id === null ? "read" : "reading"));
  /** What gets the messages before these; null where there are none, or none are known of. */
  const [older, setOlder] = useState<string | null>(null);
  /** Which conversation was opened last: what is read of one before it is not shown. */
  const opened = useRef(0);
  const [loadError, setLoadError] = useState<unknown>(null);
  /** Budgets that the last answer said are nearly used up. */
  const [warnings, setWarnings] = useState<Warning[]>([]);
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);
  /** The question before, where it may have arrived and nothing came back. */
  const unheard = useRef<Unheard | null>(null);

  const stop = useCallback(() => running.current?.abort(), []);

  /** Stops, and leaves to itself what comes of that: it belongs to what is not shown any more. */
  const leave = useCallback(() => {
    running.current?.abort();
    running.current = null;
    setBusy(false);
    return ++opened.current;
  }, []);

  const show = useCallback(
    (next: string | null) => {
      const now = leave();
      setId(next);
      setTurns([]);
      setOlder(null);
      setLoadError(null);
      setReading(next === null ? "read" : "reading");
      if (!next) return;
      api.messages(next).then(
        (page) => {
          if (opened.current !== now) return;
          setTurns(turnsOf(page.items));
          setOlder(page.next_cursor);
          setReading("read");
        },
        (error: unknown) => {
          if (opened.current !== now) return;
          setLoadError(error);
          setReading("unread");
          onError(error);
        },
      );
    },
    [leave, onError],
  );
  /** Reads the messages again that could not be read. */
  const reread = useCallback(() => show(id), [show, id]);

  /** Shows the messages before those that are shown. */
  const loadOlder = useCallback(async () => {
    if (!id || !older) return;
    const now = opened.current;
    setLoadError(null);
    try {
      const page = await api.messages(id, older);
      if (opened.current !== now) return;
      setTurns((all) => withOlder(all, page.items));
      setOlder(page.next_cursor);
    } catch (error) {
      if (opened.current !== now) return;
      setLoadError(error);
      onError(error);
    }
  }, [id, older, onError]);

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
    return () => {
      window.removeEventListener("popstate", sync);
      leave();
    };
  }, [show, leave]);

  /** Shows these turns, and has the last one written; gives what it failed with, or was stopped by. */
  const listen = useCallback(
    async (
      added: Turn[],
      begin: (signal: AbortSignal, listener: Listener) => Promise<void>,
    ): Promise<unknown> => {
      const key = added.at(-1)?.key;
      const change = (part: (turn: Turn) => Partial<Turn>) =>
        setTurns((all) => all.map((turn) => (turn.key === key ? { ...turn, ...part(turn) } : turn)));
      const controller = new AbortController();
      // It is seen at once. Until it is done the answer may still have to begin.
      controller.signal.addEventListener("abort", () => change(() => ({ state: "stopped" })));
      const now = opened.current;
      /** What is said next goes on here: also where nothing but a failure comes of this, or it was stopped. */
      const goOnIn = (conversation: string | null) => {
        if (!conversation || opened.current !== now) return;
        if (!overlayIn(location.pathname)) history.replaceState(null, "", pathOf(conversation));
        setId(conversation);
      };
      running.current = controller;
      setBusy(true);
      setLoadError(null);
      setTurns((all) => [...all, ...added]);
      try {
        await begin(controller.signal, {
          onWarnings: setWarnings,
          onBegun: (runId, conversation) => {
            change(() => ({ runId }));
            goOnIn(conversation);
          },
          onText: (more) => change((turn) => ({ text: turn.text + more })),
          onExtra: (extra) => {
            change(() => ({
              decision: extra.decision,
              citations: extra.citations,
              toolCalls: extra.tool_calls,
              approvals: extra.approvals,
            }));
            goOnIn(extra.conversation_id);
          },
        });
        change(() => ({ state: "done" }));
        return null;
      } catch (error) {
        if (!controller.signal.aborted) change(() => ({ state: "failed", error }));
        onError(error);
        return error;
      } finally {
        if (running.current === controller) {
          running.current = null;
          setBusy(false);
        }
        onStored();
      }
    },
    [onStored, onError],
  );

  /**
   * Asks. Gives whether it is kept nowhere, as far as is known, because it failed or was stopped: then
   * it is for the person to send it again.
   */
  const send = useCallback(
    async (model: string, text: string): Promise<boolean> => {
      const asked = { model, text, conversationId: id };
      const key = keyFor(unheard.current, asked);
      unheard.current = null;
      let isKept = () => false;
      const error = await listen(
        [newTurn("user", text, "done"), newTurn("assistant", "", "writing")],
        (signal, listener) => {
          const noticed = noticing(listener);
          isKept = noticed.hasBegun;
          return ask({ ...asked, key, signal }, noticed.listener);
        },
      );
      const isLost = error !== null && !isKept();
      if (isLost && mayHaveArrived(error)) unheard.current = { ...asked, key };
      return isLost;
    },
    [id, listen],
  );

  /**
   * Decides, and has the rest of the answer written below. Gives why nothing came of it, which then is
   * said where it was decided.
   */
  const decide = useCallback(
    async (approval: string, verdict: Verdict): Promise<unknown> => {
      const answer = newTurn("assistant", "", "writing");
      const error = await listen([answer], (signal, listener) =>
        tellDecision({ approval, verdict, signal }, listener),
      );
      if (isStop(error)) return null;
      if (error !== null) {
        // Of an answer that was begun there is something to see.
        setTurns((all) => all.filter((turn) => turn.key !== answer.key || turn.runId !== null));
      }
      return error;
    },
    [listen],
  );

  /** Goes on from an answer in a new conversation, which has what was said up to it. */
  const branch = useCallback(
    async (turn: Turn) => {
      if (!id) return;
      setLoadError(null);
      try {
        const made = await api.branchConversation(id, (await storedId(id, turn)) ?? turn.key);
        open(made.id);
        onStored();
      } catch (error) {
        setLoadError(error);
        onError(error);
      }
    },
    [id, open, onStored, onError],
  );

  return {
    id,
    turns,
    reading,
    reread,
    hasOlder: older !== null,
    busy,
    loadError,
    warnings,
    send,
    decide,
    stop,
    open,
    branch,
    loadOlder,
  };
}
