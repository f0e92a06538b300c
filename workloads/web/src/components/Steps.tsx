import type { DocumentStep } from "../api/types";
import { isKey } from "../i18n/dictionary";
import { useI18n } from "../i18n/context";
import { tookText } from "../lib/steps";

/** When each step of a document began, how long it took, and how much was done in it. */
export function Steps({ steps }: { steps: DocumentStep[] }) {
  const { t, language, moment } = useI18n();
  if (steps.length === 0) return null;
  return (
    // The list around it is told to who does not see it: not with every step.
    <details className="steps" aria-live="off" data-testid="document-steps">
      <summary>{t("documents.steps")}</summary>
      <ol>
        {steps.map((it) => {
          const key = "step." + it.step;
          const took = tookText(language, it);
          return (
            <li key={it.step}>
              {isKey(key) ? t(key) : it.step}
              {it.total > 0 && ` ${it.done}/${it.total}`} · {moment(it.began_at)}
              {took !== null && ` · ${took}`}
            </li>
          );
        })}
      </ol>
    </details>
  );
}
