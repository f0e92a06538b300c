import { useRef, useState } from "react";
import { account } from "../../api/account";
import type { ApiKey, NewApiKey } from "../../api/types";
import { isKey } from "../../i18n/dictionary";
import { useI18n } from "../../i18n/context";
import { usePages } from "../../lib/usePages";
import { Confirm } from "./Confirm";
import { Listing } from "./Listing";
import { NewKey } from "./NewKey";
import { Secret } from "./Secret";

export function Keys({ isAdmin, onError }: { isAdmin: boolean; onError(error: unknown): void }) {
  const { t } = useI18n();
  const pages = usePages(account.keys, onError);
  const [made, setMade] = useState<NewApiKey | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);

  const revoke = async (key: ApiKey) => {
    const isRevoked = await pages.remove(key.id, account.removeKey(key.id));
    if (isRevoked) heading.current?.focus();
    if (isRevoked && made?.id === key.id) setMade(null);
  };

  return (
    <section aria-labelledby="account-keys" data-testid="keys">
      <h3 id="account-keys" ref={heading} tabIndex={-1}>
        {t("keys.title")}
      </h3>
      <p className="hint">{t("keys.hint")}</p>
      {made ? (
        <Secret
          made={made}
          onClose={() => {
            setMade(null);
            heading.current?.focus();
          }}
        />
      ) : (
        <NewKey
          isAdmin={isAdmin}
          onError={onError}
          onMade={(key) => {
            const { key: _, ...listed } = key;
            setMade(key);
            pages.add(listed);
          }}
        />
      )}
      <Listing pages={pages} none={t("keys.none")}>
        {(key) => <KeyRow key={key.id} of={key} now={Date.now()} onRevoke={() => revoke(key)} />}
      </Listing>
    </section>
  );
}

interface RowProps {
  of: ApiKey;
  /** The `sub` of somebody else whose it may be. */
  owner?: string;
  /** Milliseconds since 1970. */
  now: number;
  onRevoke(): Promise<void>;
}

export function KeyRow({ of: key, owner, now, onRevoke }: RowProps) {
  const { t, moment } = useI18n();
  const isOver = Date.parse(key.expires_at) <= now;
  const scopes = key.scopes.map((scope) => {
    const text = "scope." + scope;
    return isKey(text) ? t(text) : scope;
  });
  return (
    <li className="row" data-testid="key" data-name={key.name}>
      <span className="name">
        {key.name} <code>{key.shown}</code>
      </span>
      <span className="actions">
        <Confirm
          verb={t("keys.revoke")}
          label={t("keys.revokeNamed", { name: key.name })}
          question={t("keys.revokeQuestion", { name: key.name })}
          onConfirm={onRevoke}
        />
      </span>
      {owner !== undefined && (
        <span className="status">{t("others.owner", { owner })}</span>
      )}
      <span className="status">{scopes.join(" · ")}</span>
      {key.models && (
        <span className="status">{t("keys.models", { models: key.models.join(", ") })}</span>
      )}
      <span className="status">
        {t("created", { when: moment(key.created_at) })} ·{" "}
        {key.last_used_at
          ? t("used", { when: moment(key.last_used_at) })
          : t("keys.neverUsed")}{" "}
        ·{" "}
        <span className={isOver ? "bad" : undefined}>
          {t(isOver ? "expired" : "expires", { when: moment(key.expires_at) })}
        </span>
      </span>
    </li>
  );
}
