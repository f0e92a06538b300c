import { useEffect, useId, useRef, useState, type ReactNode } from "react";
import {
  PERIODS,
  SCOPES_OF_BUDGETS,
  type BudgetScope,
  type Period,
  type UnknownPrice,
} from "../../api/usageTypes";
import { useI18n } from "../../i18n/context";
import { ruleFault, waysToWrite, type RuleForm as Form } from "../../lib/rules";

interface Props {
  initial: Form;
  /** Whether it is a new one. What a budget is cannot be altered later, only what it allows. */
  isNew: boolean;
  /** Rejects with what is said then. */
  onSend(form: Form): Promise<unknown>;
  onCancel?(): void;
}

export function RuleForm({ initial, isNew, onSend, onCancel }: Props) {
  const { t, explain } = useI18n();
  const [form, setForm] = useState(initial);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const set = (part: Partial<Form>) => setForm({ ...form, ...part });
  const fields = useRef<HTMLFormElement>(null);
  useEffect(() => {
    // It takes the place of the button that opened it.
    if (!isNew) fields.current?.querySelector<HTMLElement>("textarea, input")?.focus();
  }, [isNew]);

  const send = async () => {
    const fault = ruleFault(form);
    if (fault) return setError(t(`rule.fault.${fault}`, waysToWrite(form.money)));
    setBusy(true);
    setError(null);
    try {
      await onSend(form);
      if (isNew) setForm(initial);
    } catch (cause) {
      setError(explain(cause));
    }
    setBusy(false);
  };

  return (
    <form
      ref={fields}
      className="form"
      data-testid={isNew ? "new-rule" : "rule-form"}
      // What is wrong is said in the language of the page, which need not be the browser's.
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {isNew && (
        <>
          <Text
            label={t("rule.name")}
            hint={t("rule.nameHint")}
            testId="rule-name"
            value={form.name}
            onChange={(name) => set({ name })}
          />
          <Choice<BudgetScope>
            label={t("rule.scope")}
            testId="rule-scope"
            value={form.scope}
            of={SCOPES_OF_BUDGETS}
            text={(scope) => t(`scopeOf.${scope}`)}
            onChange={(scope) => set({ scope })}
          />
          <Choice<Period>
            label={t("rule.per")}
            testId="rule-per"
            value={form.per}
            of={PERIODS}
            text={(per) => t(`period.${per}`)}
            onChange={(per) => set({ per })}
          />
        </>
      )}
      {form.scope !== "Platform" && (
        <Field label={t(`rule.names.${form.scope}`)} hint={t("rule.namesHint")}>
          {(ids) => (
            <textarea
              {...ids}
              data-testid="rule-names"
              rows={3}
              value={form.names}
              onChange={(event) => set({ names: event.target.value })}
            />
          )}
        </Field>
      )}
      <fieldset>
        <legend>{t("rule.limits")}</legend>
        <Text
          label={t("usage.requests")}
          testId="rule-requests"
          mode="numeric"
          value={form.requests}
          onChange={(requests) => set({ requests })}
        />
        <Text
          label={t("usage.tokens")}
          testId="rule-tokens"
          mode="numeric"
          value={form.tokens}
          onChange={(tokens) => set({ tokens })}
        />
        <Text
          label={t("usage.money")}
          hint={t("rule.moneyHint")}
          testId="rule-money"
          mode="decimal"
          value={form.money}
          onChange={(money) => set({ money })}
        />
      </fieldset>
      {form.money.trim() !== "" && (
        <Choice<UnknownPrice>
          label={t("rule.unknownPrice")}
          testId="rule-unknown-price"
          value={form.unknownPrice}
          of={["Refuse", "Warn"]}
          text={(choice) => t(`unknownPrice.${choice}`)}
          onChange={(unknownPrice) => set({ unknownPrice })}
        />
      )}
      <Text
        label={t("rule.warnAt")}
        testId="rule-warn"
        mode="numeric"
        value={form.warnAt}
        onChange={(warnAt) => set({ warnAt })}
      />
      {error !== null && (
        <p role="alert" className="bad">
          {error}
        </p>
      )}
      <span>
        <button type="submit" className="primary" data-testid="send-rule" disabled={isBusy}>
          {t(isNew ? "rule.make" : "rule.save")}
        </button>{" "}
        {onCancel && (
          <button type="button" disabled={isBusy} onClick={onCancel}>
            {t("rule.cancel")}
          </button>
        )}
      </span>
    </form>
  );
}

/** What ties a field to its label and hint. */
interface Ids {
  id: string;
  "aria-describedby"?: string;
}

function Field(props: { label: string; hint?: string; children(ids: Ids): ReactNode }) {
  const id = useId();
  const { label, hint } = props;
  return (
    <>
      <label htmlFor={id}>{label}</label>
      {props.children(hint ? { id, "aria-describedby": id + "hint" } : { id })}
      {hint && (
        <span id={id + "hint"} className="hint">
          {hint}
        </span>
      )}
    </>
  );
}

function Text(props: {
  label: string;
  hint?: string;
  testId: string;
  mode?: "numeric" | "decimal";
  value: string;
  onChange(value: string): void;
}) {
  const { label, hint, mode } = props;
  return (
    <Field label={label} {...(hint !== undefined && { hint })}>
      {(ids) => (
        <input
          {...ids}
          data-testid={props.testId}
          autoComplete="off"
          inputMode={mode ?? "text"}
          value={props.value}
          onChange={(event) => props.onChange(event.target.value)}
        />
      )}
    </Field>
  );
}

function Choice<T extends string>(props: {
  label: string;
  testId: string;
  value: T;
  of: readonly T[];
  text(value: T): string;
  onChange(value: T): void;
}) {
  return (
    <Field label={props.label}>
      {(ids) => (
        <select
          {...ids}
          data-testid={props.testId}
          value={props.value}
          onChange={(event) => props.onChange(event.target.value as T)}
        >
          {props.of.map((value) => (
            <option key={value} value={value}>
              {props.text(value)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
