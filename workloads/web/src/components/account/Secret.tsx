import { useRef, useState } from "react";
import type { NewApiKey } from "../../api/types";
import { useI18n } from "../../i18n/context";

/** The one time that a key is shown. It is nowhere but in this page's memory. */
export function Secret({ made, onClose }: { made: NewApiKey; onClose(): void }) {
  const { t } = useI18n();
  const field = useRef<HTMLInputElement>(null);
  const [copied, setCopied] = useState<"copied" | "copyByHand" | null>(null);
  const copy = async () => {
    field.current?.select();
    try {
      await navigator.clipboard.writeText(made.key);
      setCopied("copied");
    } catch {
      // The browser or its owner does not let pages do that; it is selected.
      setCopied("copyByHand");
    }
  };
  return (
    <div role="group" className="secret" data-testid="secret" aria-labelledby="secret-label">
      <label id="secret-label" htmlFor="secret-key">
        {t("secret.label", { name: made.name })}
      </label>
      <input
        id="secret-key"
        ref={field}
        data-testid="secret-key"
        readOnly
        autoFocus
        autoComplete="off"
        spellCheck={false}
        aria-describedby="secret-warning"
        value={made.key}
        onFocus={(event) => event.target.select()}
      />
      <p id="secret-warning" className="warning">
        {t("secret.warning")}
      </p>
      <button className="primary" data-testid="copy-key" onClick={() => void copy()}>
        {t("secret.copy")}
      </button>{" "}
      <button data-testid="secret-close" onClick={onClose}>
        {t("secret.close")}
      </button>
      <p role="status">{copied && t(`secret.${copied}`)}</p>
    </div>
  );
}
