import { useId, useState } from "react";
import { account } from "../../api/account";
import type { Erased } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { isTyped } from "../../lib/account";

interface Props {
  onError(error: unknown): void;
  onErased(erased: Erased): void;
}

const GOES = ["conversations", "approvals", "documents", "keys", "usage", "sessions"] as const;
const STAYS = ["account", "spent", "records", "cited", "backups"] as const;

/** The end of everything that is held of the person, behind a phrase that must be typed. */
export function Erase({ onError, onErased }: Props) {
  const [typed, setTyped] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const erase = async () => {
    setBusy(true);
    setError(null);
    try {
      onErased(await account.eraseAll());
    } catch (cause) {
      // What is gone is gone: to ask again goes on from there.
      setError(cause);
      setBusy(false);
      onError(cause);
    }
  };
  return (
    <details className="erase" data-testid="erase">
      <Summary />
      <EraseForm
        typed={typed}
        isBusy={isBusy}
        error={error}
        onType={setTyped}
        onErase={() => void erase()}
      />
    </details>
  );
}

function Summary() {
  const { t } = useI18n();
  return (
    <>
      <summary>{t("erase.title")}</summary>
      <p>{t("erase.goes")}</p>
      <ul>
        {GOES.map((what) => (
          <li key={what}>{t(`erase.goes.${what}`)}</li>
        ))}
      </ul>
      <p>{t("erase.stays")}</p>
      <ul>
        {STAYS.map((what) => (
          <li key={what}>{t(`erase.stays.${what}`)}</li>
        ))}
      </ul>
    </>
  );
}

interface FormProps {
  typed: string;
  isBusy: boolean;
  error: unknown;
  onType(text: string): void;
  onErase(): void;
}

export function EraseForm({ typed, isBusy, error, onType, onErase }: FormProps) {
  const { t, explain } = useI18n();
  const id = useId();
  const phrase = t("erase.phrase");
  const isConfirmed = isTyped(phrase, typed);
  return (
    <form
      className="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (isConfirmed && !isBusy) onErase();
      }}
    >
      <label htmlFor={id}>{t("erase.label", { phrase })}</label>
      <input
        id={id}
        data-testid="erase-phrase"
        autoComplete="off"
        value={typed}
        disabled={isBusy}
        onChange={(event) => onType(event.target.value)}
      />
      {error !== null && (
        <div role="alert" className="bad">
          <p>{explain(error)}</p>
          <p>{t("erase.again")}</p>
        </div>
      )}
      <button
        type="submit"
        className="danger"
        data-testid="erase-button"
        disabled={!isConfirmed || isBusy}
      >
        {t(isBusy ? "erase.busy" : "erase.button")}
      </button>
    </form>
  );
}
