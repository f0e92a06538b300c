import { useCallback, useRef, useState } from "react";
import { usage } from "../../api/usage";
import { KINDS, type BudgetRule } from "../../api/usageTypes";
import { useI18n } from "../../i18n/context";
import { EMPTY_RULE, formOf, toChange, toNewRule, type RuleForm as Form } from "../../lib/rules";
import { limitText } from "../../lib/refusal";
import { usePages } from "../../lib/usePages";
import { Confirm } from "../account/Confirm";
import { Listing } from "../account/Listing";
import { RuleForm } from "./RuleForm";

interface Props {
  onError(error: unknown): void;
  /** After a change: what is shown of budgets elsewhere is old. */
  onChanged(): void;
}

/** All budgets as they were set, for administrators: to make, alter and remove. */
export function Rules({ onError, onChanged }: Props) {
  const { t } = useI18n();
  const read = useCallback(async () => {
    const page = await usage.rules();
    // One of an administrator may have the name of one of the resource.
    const items = page.items.map((rule) => ({ ...rule, id: rule.source + " " + rule.name }));
    return { ...page, items };
  }, []);
  const pages = usePages(read, onError);
  const heading = useRef<HTMLHeadingElement>(null);

  /** Sends a form. What is refused is said beside it, so it is passed on. */
  const change = async (call: Promise<BudgetRule>) => {
    try {
      await call;
    } catch (cause) {
      onError(cause);
      throw cause;
    }
    pages.reload();
    onChanged();
    heading.current?.focus();
  };
  const remove = async (rule: BudgetRule & { id: string }) => {
    if (!(await pages.remove(rule.id, usage.removeRule(rule.name)))) return;
    onChanged();
    heading.current?.focus();
  };

  return (
    <section aria-labelledby="usage-rules" data-testid="rules">
      <h3 id="usage-rules" ref={heading} tabIndex={-1}>
        {t("rules.title")}
      </h3>
      <p className="hint">{t("rules.hint")}</p>
      <Listing pages={pages} none={t("rules.none")}>
        {(rule) => (
          <RuleRow
            key={rule.id}
            of={rule}
            onRemove={() => remove(rule)}
            onSend={(form) => change(usage.alterRule(rule.name, toChange(form)))}
          />
        )}
      </Listing>
      <details>
        <summary data-testid="make-rule">{t("rules.new")}</summary>
        <RuleForm
          initial={EMPTY_RULE}
          isNew
          onSend={(form) => change(usage.makeRule(toNewRule(form)))}
        />
      </details>
    </section>
  );
}

interface RowProps {
  of: BudgetRule;
  onRemove(): Promise<void>;
  onSend(form: Form): Promise<void>;
}

export function RuleRow({ of: rule, onRemove, onSend }: RowProps) {
  const i18n = useI18n();
  const { t } = i18n;
  const [state, setState] = useState<"shown" | "edited" | "kept">("shown");
  const isEdited = state === "edited";
  const limits = KINDS.flatMap((kind) => {
    const limit = rule.limits[kind];
    return limit === undefined ? [] : [limitText(i18n, kind, limit, rule.per)];
  });
  const isOurs = rule.source === "Administrator";
  return (
    <li className="row" data-testid="rule" data-name={rule.name} data-source={rule.source}>
      <span className="name">
        {rule.name}
        <span className="mark">{t(`source.${rule.source}`)}</span>
      </span>
      {isOurs && !isEdited && (
        <span className="actions">
          <button
            data-testid="edit-rule"
            aria-label={t("rule.editNamed", { name: rule.name })}
            // The focus was within the form that it takes the place of.
            autoFocus={state === "kept"}
            onClick={() => setState("edited")}
          >
            {t("rule.edit")}
          </button>{" "}
          <Confirm
            verb={t("rule.remove")}
            label={t("rule.removeNamed", { name: rule.name })}
            question={t("rule.removeQuestion", { name: rule.name })}
            onConfirm={onRemove}
          />
        </span>
      )}
      <span className="status">
        {t(`scopeOf.${rule.scope}`)}
        {rule.names.length > 0 && <> ({rule.names.join(", ")})</>} · {limits.join(" · ")} ·{" "}
        {t("rule.warns", { percent: rule.warn_at_percent })}
      </span>
      {!rule.active && <span className="status bad">{t("rule.inactive")}</span>}
      {isEdited && (
        <RuleForm
          initial={formOf(rule)}
          isNew={false}
          onCancel={() => setState("kept")}
          onSend={async (form) => {
            await onSend(form);
            setState("shown");
          }}
        />
      )}
    </li>
  );
}
