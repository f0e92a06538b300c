import { useState } from "react";
import { useI18n } from "../../i18n/context";

interface Props {
  /** What the button says, and what it says to who does not see what it belongs to. */
  verb: string;
  label: string;
  /** What happens then. */
  question: string;
  onConfirm(): Promise<unknown>;
}

type State = "idle" | "asked" | "busy" | "kept";

/** A button that asks before it does what cannot be undone. */
export function Confirm({ verb, label, question, onConfirm }: Props) {
  const [state, setState] = useState<State>("idle");
  if (state === "idle" || state === "kept") {
    return (
      // The focus was within what this button takes the place of.
      <button aria-label={label} autoFocus={state === "kept"} onClick={() => setState("asked")}>
        {verb}
      </button>
    );
  }
  return (
    <Question
      text={question}
      verb={verb}
      isBusy={state === "busy"}
      onNo={() => setState("kept")}
      onYes={() => {
        setState("busy");
        void onConfirm().then(() => setState("kept"));
      }}
    />
  );
}

interface QuestionProps {
  text: string;
  verb: string;
  isBusy: boolean;
  onYes(): void;
  onNo(): void;
}

/** Escape is no. */
export function Question({ text, verb, isBusy, onYes, onNo }: QuestionProps) {
  const { t } = useI18n();
  return (
    <div
      role="group"
      aria-label={text}
      className="question"
      onKeyDown={(event) => {
        if (event.key === "Escape" && !isBusy) onNo();
      }}
    >
      <p>{text}</p>
      <button className="danger" data-testid="confirm" disabled={isBusy} onClick={onYes}>
        {verb}
      </button>{" "}
      <button autoFocus disabled={isBusy} onClick={onNo}>
        {t("keep")}
      </button>
    </div>
  );
}
