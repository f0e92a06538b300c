import { useCallback, useEffect, useState } from "react";
import { api } from "../api/http";
import type { Approval, Citation, Erased, Me, Model } from "../api/types";
import { useI18n } from "../i18n/context";
import { isSignedOut, type Ending } from "../lib/ending";
import { ACCOUNT, pathOf, USAGE, type Overlay } from "../lib/place";
import { useConversation } from "../lib/useConversation";
import { useOverlay } from "../lib/useOverlay";
import type { Pages } from "../lib/usePages";
import { useWaiting } from "../lib/useWaiting";
import { Account } from "./account/Account";
import { countText, Waiting } from "./approvals/Waiting";
import { Boundary } from "./Boundary";
import { BudgetNotice } from "./BudgetNotice";
import { CitationPanel } from "./CitationPanel";
import { Composer } from "./Composer";
import { Conversations } from "./Conversations";
import { Documents } from "./Documents";
import { LanguageSwitch } from "./LanguageSwitch";
import { LocalLink } from "./LocalLink";
import { Turns } from "./Turns";
import { Usage } from "./usage/Usage";

type View = "chat" | "conversations" | "documents";
const VIEWS: View[] = ["chat", "conversations", "documents"];

interface Props {
  me: Me;
  onSignedOut(ending: Ending): void;
  onErased(erased: Erased): void;
}

export function Workspace({ me, onSignedOut, onErased }: Props) {
  const { t, explain } = useI18n();
  const [view, setView] = useState<View>("chat");
  const [version, setVersion] = useState(0);
  const [problem, setProblem] = useState<unknown>(null);
  const [citation, setCitation] = useState<Citation | null>(null);

  const onError = useCallback(
    (error: unknown) => {
      if (isSignedOut(error)) onSignedOut("over");
    },
    [onSignedOut],
  );
  const onStored = useCallback(() => setVersion((version) => version + 1), []);
  const conversation = useConversation(onStored, onError);
  const waiting = useWaiting(version, onError);
  const { models, model, setModel, error: modelsError } = useModels(onError);
  const overlay = useOverlay();
  const show = (page: Overlay) => {
    setCitation(null);
    overlay.show(page);
  };
  const showUsage = () => show(USAGE);
  const leave = () => overlay.leave(pathOf(conversation.id));

  const open = (id: string | null) => {
    setCitation(null);
    setView("chat");
    conversation.open(id);
  };
  const signOut = () =>
    api.signOut().then(
      (elsewhere) => {
        // First, so that the way back shows nothing.
        onSignedOut("self");
        if (elsewhere !== null) location.assign(elsewhere);
      },
      (error: unknown) => {
        setProblem(error);
        onError(error);
      },
    );

  const shown = problem ?? modelsError ?? conversation.loadError;
  return (
    <div className={"workspace view-" + view}>
      <header className="bar">
        <h1>{t("app.title")}</h1>
        <label className="model">
          <span className="visually-hidden">{t("model.label")}</span>
          <select
            data-testid="model"
            value={model}
            onChange={(event) => setModel(event.target.value)}
          >
            {models.map((item) => (
              <option key={item.id} value={item.id} title={item.description}>
                {item.id}
              </option>
            ))}
          </select>
        </label>
        <LanguageSwitch />
        <span className="me" data-testid="me">
          {me.name}
        </span>
        <LocalLink
          className="button quiet"
          data-testid="usage"
          href={USAGE}
          aria-current={overlay.shown === USAGE ? "page" : undefined}
          onGo={showUsage}
        >
          {t("usage.title")}
        </LocalLink>
        <LocalLink
          className="button quiet"
          data-testid="account"
          href={ACCOUNT}
          aria-current={overlay.shown === ACCOUNT ? "page" : undefined}
          onGo={() => show(ACCOUNT)}
        >
          {t("account.title")}
        </LocalLink>
        <button className="quiet" data-testid="sign-out" onClick={() => void signOut()}>
          {t("signOut")}
        </button>
      </header>
      <nav className="tabs" aria-label={t("nav.label")} hidden={overlay.shown !== null}>
        {VIEWS.map((item) => (
          <button
            key={item}
            aria-current={view === item ? "true" : undefined}
            onClick={() => setView(item)}
          >
            {t(`nav.${item}`)}
            {item === "conversations" && <WaitingCount pages={waiting} />}
          </button>
        ))}
      </nav>
      {overlay.shown === ACCOUNT && (
        <Boundary>
          <Account
            me={me}
            back={pathOf(conversation.id)}
            onClose={leave}
            onError={onError}
            onErased={onErased}
          />
        </Boundary>
      )}
      {overlay.shown === USAGE && (
        <Boundary>
          <Usage me={me} back={pathOf(conversation.id)} onClose={leave} onError={onError} />
        </Boundary>
      )}
      <main className="content" hidden={overlay.shown !== null}>
        <div className="side">
          <Boundary>
            <Waiting pages={waiting} onOpen={open} />
          </Boundary>
          <Boundary>
            <Conversations
              current={conversation.id}
              version={version}
              onOpen={open}
              onError={onError}
            />
          </Boundary>
          <Boundary>
            <Documents onError={onError} />
          </Boundary>
        </div>
        <div className="chat">
          {shown !== null && shown !== undefined && (
            <p role="alert" className="banner bad">
              {explain(shown)}
            </p>
          )}
          <Boundary>
            <Turns
              conversation={conversation}
              onCitation={setCitation}
              onUsage={showUsage}
              onError={onError}
            />
          </Boundary>
          <Boundary>
            <BudgetNotice warnings={conversation.warnings} onUsage={showUsage} />
          </Boundary>
          <Composer
            busy={conversation.busy}
            onStop={conversation.stop}
            onSend={(text) => conversation.send(model, text)}
          />
        </div>
      </main>
      {citation && (
        <Boundary>
          <CitationPanel citation={citation} onClose={() => setCitation(null)} />
        </Boundary>
      )}
    </div>
  );
}

/** On a small screen the list itself is behind this tab. */
function WaitingCount({ pages }: { pages: Pages<Approval> }) {
  const { t } = useI18n();
  const count = pages.items?.length ?? 0;
  if (count === 0) return null;
  const text = countText(count, pages.hasMore);
  return (
    <span data-testid="waiting-count">
      <span aria-hidden="true"> ({text})</span>
      <span className="visually-hidden">, {t("approvals.title", { count: text })}</span>
    </span>
  );
}

const AUTOMATIC = "lotoai";

function useModels(onError: (error: unknown) => void) {
  const [models, setModels] = useState<Model[]>([{ id: AUTOMATIC, description: "", type: "chat" }]);
  const [model, setModel] = useState(AUTOMATIC);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    api.models().then(
      (all) => {
        if (all.length > 0) setModels(all);
        setError(null);
      },
      (cause: unknown) => {
        setError(cause);
        onError(cause);
      },
    );
  }, [onError]);
  return { models, model, setModel, error };
}
