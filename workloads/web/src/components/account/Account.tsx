import type { Erased, Me } from "../../api/types";
import { useI18n } from "../../i18n/context";
import { useFocusInside } from "../../lib/useFocusInside";
import { LocalLink } from "../LocalLink";
import { Data } from "./Data";
import { Keys } from "./Keys";
import { Others } from "./Others";
import { Sessions } from "./Sessions";
import "./account.css";

interface Props {
  me: Me;
  /** Where the chat is. */
  back: string;
  onClose(): void;
  onError(error: unknown): void;
  onErased(erased: Erased): void;
}

/** What a person has here beside conversations and documents. */
export function Account({ me, back, onClose, onError, onErased }: Props) {
  const { t, language } = useI18n();
  const heading = useFocusInside<HTMLHeadingElement>();
  return (
    <main className="account" data-testid="account-page" aria-labelledby="account-title">
      <div className="account-column">
        <LocalLink href={back} onGo={onClose} data-testid="account-close">
          {t("account.back")}
        </LocalLink>
        <h2 id="account-title" ref={heading} tabIndex={-1}>
          {t("account.title")}
        </h2>
        <Keys isAdmin={me.admin} onError={onError} />
        <Sessions onError={onError} />
        {me.admin && <Others onError={onError} />}
        <Data onError={onError} onErased={onErased} />
        <section aria-labelledby="account-docs">
          <h3 id="account-docs">{t("docs.title")}</h3>
          <p className="hint">{t("docs.hint")}</p>
          <a
            data-testid="api-docs"
            href={"/api/docs?lang=" + language}
            target="_blank"
            rel="noopener"
          >
            {t("docs.open")}
          </a>
        </section>
      </div>
    </main>
  );
}
