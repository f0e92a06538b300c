import { useId, useState } from "react";
import { account } from "../../api/account";
import { SCOPES, type NewApiKey, type Scope } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { DAYS, faultOf, toRequest, type KeyForm } from "../../lib/account";

interface Props {
  /** Only who administers can let a key do so. */
  isAdmin: boolean;
  onMade(key: NewApiKey): void;
  onError(error: unknown): void;
}

const EMPTY: KeyForm = { name: "", scopes: ["chat"], days: String(DAYS.usual) };

export function NewKey({ isAdmin, onMade, onError }: Props) {
  const { t, explain } = useI18n();
  const [form, setForm] = useState(EMPTY);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const id = useId();

  const make = async () => {
    const fault = faultOf(form);
    if (fault) return setError(t(`keys.fault.${fault}`, { ...DAYS }));
    setBusy(true);
    setError(null);
    try {
      onMade(await account.makeKey(toRequest(form)));
    } catch (cause) {
      setError(explain(cause));
      setBusy(false);
      onError(cause);
    }
  };

  return (
    <form
      className="form"
      data-testid="new-key"
      // What is wrong is said in the language of the page, which need not be the browser's.
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void make();
      }}
    >
      <label htmlFor={id + "name"}>{t("keys.name")}</label>
      <input
        id={id + "name"}
        data-testid="key-name"
        maxLength={80}
        required
        autoComplete="off"
        value={form.name}
        onChange={(event) => setForm({ ...form, name: event.target.value })}
      />
      <fieldset>
        <legend>{t("keys.scopes")}</legend>
        {SCOPES.filter((scope) => isAdmin || scope !== "admin").map((scope) => (
          <label key={scope} className="choice">
            <input
              type="checkbox"
              name={scope}
              checked={form.scopes.includes(scope)}
              onChange={() => setForm({ ...form, scopes: toggled(form.scopes, scope) })}
            />
            <span>
              {t(`scope.${scope}`)} <code>{scope}</code>
            </span>
          </label>
        ))}
      </fieldset>
      <label htmlFor={id + "days"}>{t("keys.days", { most: DAYS.most })}</label>
      <input
        id={id + "days"}
        data-testid="key-days"
        type="number"
        min={DAYS.least}
        max={DAYS.most}
        required
        value={form.days}
        onChange={(event) => setForm({ ...form, days: event.target.value })}
      />
      {error !== null && (
        <p role="alert" className="bad">
          {error}
        </p>
      )}
      <button type="submit" className="primary" data-testid="make-key" disabled={isBusy}>
        {t("keys.make")}
      </button>
    </form>
  );
}

function toggled(scopes: readonly Scope[], scope: Scope): Scope[] {
  return SCOPES.filter((it) => (it === scope) !== scopes.includes(it));
}
