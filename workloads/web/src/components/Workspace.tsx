import { useCallback, useState } from "react";
import { api } from "../api/http";
import type { Approval, Erased, Me } from "../api/types";
import { useI18n } from "../i18n/context";
import type { Draft } from "../lib/draft";
import { isSignedOut, type Ending } from "../lib/ending";
import { ACCOUNT, pathOf, USAGE, type Overlay } from "../lib/place";
import { useCitation } from "../lib/useCitation";
import { useConversation } from "../lib/useConversation";
import { useModels } from "../lib/useModels";
import { useOverlay } from "../lib/useOverlay";
import type { Pages } from "../lib/usePages";
import { useView, VIEWS } from "../lib/useView";
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

interface Props {
  me: Me;
  draft: Draft;
  onSignedOut(ending: Ending): void;
  onErased(erased: Erased): void;
}

export function Workspace({ me, draft, onSignedOut, onErased }: Props) {
  const { t, explain } = useI18n();
  const [version, setVersion] = useState(0);
  const [problem, setProblem] = useState<unknown>(null);

  const onError = useCallback(
    (error: unknown) => {
      if (isSignedOut(error)) onSignedOut("over");
    },
    [onSignedOut],
  );
  const onStored = useCallback(() => setVersion((version) => version + 1), []);
  const conversation = useConversation(onStored, onError);
  const [view, setView] = useView(conversation.id);
  const { citation, show: showCitation, close: closeCitation } = useCitation(conversation.id);
  const waiting = useWaiting(version, onError);
  const { models, model, choose, ...ofModels } = useModels(version, onError);
  const overlay = useOverlay();
  const show = (page: Overlay) => {
    closeCitation();
    overlay.show(page);
  };
  const showUsage = () => show(USAGE);
  const leave = () => overlay.leave(pathOf(conversation.id));

  const open = (id: string | null) => {
    closeCitation();
    setView("chat");
    conversation.open(id);
  };
  const signOut = () => {
    setProblem(null);
    return api.signOut().then(
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
  };

  const isUnread = conversation.reading === "unread";
  const shown = [
    { error: conversation.loadError, retry: isUnread ? conversation.reread : null },
    // Signing out is tried again where it was tried.
    { error: problem, retry: null },
    { error: ofModels.error, retry: ofModels.reload },
  ].find(({ error }) => error !== null);
  return (
    <div className={"workspace view-" + view}>
      <header className="bar">
        <h1>{t("app.title")}</h1>
        <label className="model">
          <span className="visually-hidden">{t("model.label")}</span>
          <select
            data-testid="model"
            value={model}
            onChange={(event) => choose(event.target.value)}
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
            data-testid={"tab-" + item}
            aria-current={view === item ? "true" : undefined}
            onClick={() => {
              // On a small screen it is over what the tabs choose.
              closeCitation();
              setView(item);
            }}
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
          {shown && (
            <p role="alert" className="banner bad" data-testid="problem">
              {explain(shown.error)}{" "}
              {shown.retry && (
                <button data-testid="problem-retry" onClick={shown.retry}>
                  {t("retry")}
                </button>
              )}
            </p>
          )}
          <Boundary>
            <Turns
              conversation={conversation}
              onCitation={showCitation}
              onUsage={showUsage}
              onError={onError}
            />
          </Boundary>
          <Boundary>
            <BudgetNotice warnings={conversation.warnings} onUsage={showUsage} />
          </Boundary>
          <Composer
            draft={draft}
            isReady={conversation.reading === "read"}
            busy={conversation.busy}
            onStop={conversation.stop}
            onSend={(text) => conversation.send(model, text)}
          />
        </div>
      </main>
      {citation && (
        <Boundary>
          <CitationPanel citation={citation} onClose={closeCitation} />
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
