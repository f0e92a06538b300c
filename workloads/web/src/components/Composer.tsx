import { useId, useRef, type RefObject } from "react";
import { useI18n } from "../i18n/context";
import type { Draft } from "../lib/draft";
import { givenBack } from "../lib/typed";
import { useDraft } from "../lib/useDraft";
import { useHandOver } from "../lib/useHandOver";

interface Props {
  draft: Draft;
  /** Whether it is known what was said before: below that stands what is asked. */
  isReady: boolean;
  busy: boolean;
  /** Gives whether it failed or was stopped and is kept nowhere. */
  onSend(text: string): Promise<boolean>;
  onStop(): void;
}

/** Where the question is written. Enter sends, Shift+Enter begins a new line. */
export function Composer({ draft, isReady, busy, onSend, onStop }: Props) {
  const { t } = useI18n();
  const text = useDraft(draft);
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const cannotSend = !isReady || text.trim() === "";
  const send = () => {
    if (busy || cannotSend) return;
    const sent = text.trim();
    draft.change(() => "");
    void onSend(sent).then((isLost) => {
      if (isLost) draft.change((typed) => givenBack(typed, sent));
    });
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label htmlFor={id} className="visually-hidden">
        {t("question.label")}
      </label>
      <textarea
        id={id}
        ref={field}
        data-testid="question"
        rows={2}
        value={text}
        placeholder={t("question.placeholder")}
        onChange={(event) => draft.change(() => event.target.value)}
        onKeyDown={(event) => {
          // Enter also ends the choice of a character in an input method.
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            send();
          }
        }}
      />
      {/* Two buttons, and not one that changes: a click that began on one must not end on the other. */}
      {busy ? (
        <Stop key="stop" next={field} onStop={onStop} />
      ) : (
        <Send key="send" next={field} disabled={cannotSend} />
      )}
    </form>
  );
}

interface ButtonProps {
  /** Where a keyboard goes on when the button goes. */
  next: RefObject<HTMLElement | null>;
}

function Stop({ next, onStop }: ButtonProps & { onStop(): void }) {
  const { t } = useI18n();
  return (
    <button
      type="button"
      ref={useHandOver<HTMLButtonElement>(next)}
      data-testid="stop"
      onClick={(event) => {
        if (!isRepeated(event)) onStop();
      }}
    >
      {t("question.stop")}
    </button>
  );
}

function Send({ next, disabled }: ButtonProps & { disabled: boolean }) {
  const { t } = useI18n();
  return (
    <button
      type="submit"
      ref={useHandOver<HTMLButtonElement>(next)}
      className="primary"
      data-testid="send"
      disabled={disabled}
      onClick={(event) => {
        if (isRepeated(event)) event.preventDefault();
      }}
    >
      {t("question.send")}
    </button>
  );
}

/** Whether a click is the second of a double click: the first one was for the button that stood here before. */
function isRepeated({ detail }: { detail: number }): boolean {
  return detail > 1;
}
