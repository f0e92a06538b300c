import { useCallback, useEffect, useState } from "react";
import { api } from "./api/http";
import type { Erased, Me } from "./api/types";
import { SignIn } from "./components/SignIn";
import { Workspace } from "./components/Workspace";
import { useI18n } from "./i18n/context";
import { departure } from "./lib/departure";
import { better, endingOf, isSignedOut, type Ending } from "./lib/ending";
import { SIGN_IN } from "./lib/place";
import { failureIn } from "./lib/signInFailure";
import { useOtherTabs } from "./lib/useOtherTabs";
import { useReturn } from "./lib/useReturn";

type Session =
  | { state: "loading" }
  | { state: "out"; erased?: Erased; ending?: Ending }
  | { state: "in"; me: Me }
  | { state: "error"; error: unknown };

/** Nobody is signed in any more. What was erased stays said. */
function ended(known: Session, heard: Ending): Session {
  if (known.state !== "out") return { state: "out", ending: heard };
  return known.erased ? known : { state: "out", ending: better(known.ending, heard) };
}

function unread(error: unknown): Session {
  if (!isSignedOut(error)) return { state: "error", error };
  const ending = endingOf(error);
  return { state: "out", ...(ending && { ending }) };
}

export function App() {
  const { t, explain } = useI18n();
  const [session, setSession] = useState<Session>({ state: "loading" });
  const [failure, setFailure] = useState(() => failureIn(location.pathname, location.search));

  const load = useCallback(() => {
    api.me().then(
      (me) => {
        // Another tab signed in, or the person went back: whoever is in can go on.
        setFailure(null);
        departure.forget();
        setSession({ state: "in", me });
      },
      (error: unknown) => setSession(unread(error)),
    );
  }, []);
  useEffect(load, [load]);
  useEffect(() => {
    // It is said once. A new sign-in comes back to where the one that failed began.
    if (location.pathname === SIGN_IN) history.replaceState(null, "", departure.read());
  }, []);

  const endedElsewhere = useCallback(
    // Where nobody was signed in, there is nothing to say.
    () => setSession((known) => (saysNothing(known) ? known : ended(known, "elsewhere"))),
    [],
  );
  const tellOtherTabs = useOtherTabs(endedElsewhere);
  const signedOut = useCallback(
    (ending: Ending) => {
      if (ending === "self") {
        tellOtherTabs();
        // Whoever signs in next may be somebody else.
        departure.forget();
        history.replaceState(null, "", "/");
      }
      setSession((known) => ended(known, ending));
    },
    [tellOtherTabs],
  );
  const erased = useCallback((erased: Erased) => {
    history.replaceState(null, "", "/");
    setSession({ state: "out", erased });
  }, []);

  const isIn = session.state === "in";
  const seen = useCallback(() => {
    if (!isIn) return;
    // What cannot be asked now is asked with the next call.
    api.me().catch((error: unknown) => {
      if (isSignedOut(error)) signedOut("over");
    });
  }, [isIn, signedOut]);
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
      return <Workspace me={session.me} onSignedOut={signedOut} onErased={erased} />;
  }
}

function saysNothing(known: Session): boolean {
  return known.state === "loading" || (known.state === "out" && known.ending === undefined);
}
