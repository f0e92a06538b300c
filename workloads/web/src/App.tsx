import { useCallback, useEffect, useRef, useState } from "react";
import { api } from "./api/http";
import type { Erased, Me } from "./api/types";
import { SignIn } from "./components/SignIn";
import { Workspace } from "./components/Workspace";
import { useI18n } from "./i18n/context";
import { departure } from "./lib/departure";
import { newDraft, type Draft } from "./lib/draft";
import { better, endingOf, isSignedOut, type Ending } from "./lib/ending";
import { SIGN_IN } from "./lib/place";
import { failureIn } from "./lib/signInFailure";
import { useOtherTabs } from "./lib/useOtherTabs";
import { useReturn } from "./lib/useReturn";

type Session =
  | { state: "loading" }
  | { state: "out"; erased?: Erased; ending?: Ending; draft?: Draft }
  | { state: "in"; me: Me; draft: Draft }
  | { state: "error"; error: unknown };

/**
 * Nobody is signed in any more. What was erased stays said, and so does what was being written, unless
 * the person went by themselves.
 */
function ended(known: Session, heard: Ending): Session {
  if (known.state === "out" && known.erased) return known;
  const ending = known.state === "out" ? better(known.ending, heard) : heard;
  const draft = known.state === "in" || known.state === "out" ? known.draft : undefined;
  return { state: "out", ending, ...(ending === "over" && draft && { draft }) };
}

function unread(error: unknown, draft?: Draft): Session {
  if (!isSignedOut(error)) return { state: "error", error };
  const ending = endingOf(error);
  return { state: "out", ...(ending && { ending }), ...(draft && { draft }) };
}

export function App() {
  const { t, explain } = useI18n();
  const [session, setSession] = useState<Session>({ state: "loading" });
  const [failure, setFailure] = useState(() => failureIn(location.pathname, location.search));

  /** Who was here last, and what they are writing. */
  const last = useRef<{ subject: string; draft: Draft } | null>(null);

  const enter = useCallback((me: Me) => {
    const { subject } = me;
    const known = last.current;
    // What is open, and what is being written, is for nobody else.
    if (known !== null && known.subject !== subject) history.replaceState(null, "", "/");
    const draft = known?.subject === subject ? known.draft : newDraft();
    last.current = { subject, draft };
    setSession({ state: "in", me, draft });
  }, []);
  const load = useCallback(() => {
    api.me().then(
      (me) => {
        // Another tab signed in, or the person went back: whoever is in can go on.
        setFailure(null);
        departure.forget();
        enter(me);
      },
      (error: unknown) => setSession(unread(error, last.current?.draft)),
    );
  }, [enter]);
  useEffect(load, [load]);
  useEffect(() => {
    // It is said once. A new sign-in comes back to where the one that failed began.
    if (location.pathname === SIGN_IN) history.replaceState(null, "", departure.read());
  }, []);

  const endedElsewhere = useCallback(() => {
    // Who went by themselves leaves nothing behind.
    if (last.current) last.current.draft = newDraft();
    // Where nobody was signed in, there is nothing to say.
    setSession((known) => (saysNothing(known) ? known : ended(known, "elsewhere")));
  }, []);
  const tellOtherTabs = useOtherTabs(endedElsewhere);
  const subject = session.state === "in" ? session.me.subject : null;
  const signedOut = useCallback(
    (ending: Ending) => {
      if (ending === "self") {
        tellOtherTabs();
        // Whoever signs in next may be somebody else.
        departure.forget();
        last.current = null;
        history.replaceState(null, "", "/");
      }
      // What was asked by whoever was here before says nothing of who is here now.
      const isOther = (known: Session) => known.state === "in" && known.me.subject !== subject;
      setSession((known) => (isOther(known) ? known : ended(known, ending)));
    },
    [subject, tellOtherTabs],
  );
  const erased = useCallback((erased: Erased) => {
    last.current = null;
    history.replaceState(null, "", "/");
    setSession({ state: "out", erased });
  }, []);

  const seen = useCallback(() => {
    if (subject === null) return;
    // What cannot be asked now is asked with the next call.
    api.me().then(
      (me) => {
        // Somebody else has signed in, in another tab of this browser.
        if (me.subject !== subject) enter(me);
      },
      (error: unknown) => {
        if (isSignedOut(error)) signedOut("over");
      },
    );
  }, [subject, enter, signedOut]);
  const restored = useCallback(() => {
    setSession({ state: "loading" });
    load();
  }, [load]);
  useReturn(seen, restored);

  switch (session.state) {
    case "loading":
      return <p className="centered">{t("loading")}</p>;
    case "out":
      return (
        <SignIn
          {...(session.erased && { erased: session.erased })}
          {...(session.ending && { ending: session.ending })}
          {...(failure && { failure })}
          {...(session.draft && { draft: session.draft })}
        />
      );
    case "error":
      // What cannot be asked now, such as the database, is often why the sign-in failed.
      if (failure) return <SignIn failure={failure} />;
      return (
        <main className="centered">
          <p role="alert">{explain(session.error)}</p>
          <button onClick={load}>{t("retry")}</button>
        </main>
      );
    case "in":
      return (
        <Workspace
          key={session.me.subject}
          me={session.me}
          draft={session.draft}
          onSignedOut={signedOut}
          onErased={erased}
        />
      );
  }
}

function saysNothing(known: Session): boolean {
  return known.state === "loading" || (known.state === "out" && known.ending === undefined);
}
