import { useId, useState } from "react";
import { useI18n } from "../i18n/context";
import { givenBack } from "../lib/typed";

interface Props {
  busy: boolean;
  /** Gives whether it failed and is kept nowhere. */
  onSend(text: string): Promise<boolean>;
  onStop(): void;
}

/** Where the question is written. Enter sends, Shift+Enter begins a new line. */
export function Composer({ busy, onSend, onStop }: Props) {
  const { t } = useI18n();
  const [text, setText] = useState("");
  const id = useId();
  const empty = text.trim() === "";
  const send = () => {
    if (busy || empty) return;
    const sent = text.trim();
    setText("");
    void onSend(sent).then((isLost) => {
      if (isLost) setText((typed) => givenBack(typed, sent));
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
        data-testid="question"
        rows={2}
        value={text}
        placeholder={t("question.placeholder")}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          // Enter also ends the choice of a character in an input method.
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            send();
          }
        }}
      />
      {busy ? (
        <button type="button" data-testid="stop" onClick={onStop}>
          {t("question.stop")}
        </button>
      ) : (
        <button type="submit" className="primary" data-testid="send" disabled={empty}>
          {t("question.send")}
        </button>
      )}
    </form>
  );
}
