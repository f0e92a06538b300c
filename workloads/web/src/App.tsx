import { useCallback, useEffect, useState } from "react";
import { api, ApiError } from "./api/http";
import type { Erased, Me } from "./api/types";
import { SignIn } from "./components/SignIn";
import { Workspace } from "./components/Workspace";
import { useI18n } from "./i18n/context";

type Session =
  | { state: "loading" }
  | { state: "out"; erased?: Erased }
  | { state: "in"; me: Me }
  | { state: "error"; error: unknown };

export function App() {
  const { t, explain } = useI18n();
  const [session, setSession] = useState<Session>({ state: "loading" });

  const load = useCallback(() => {
    api.me().then(
      (me) => setSession({ state: "in", me }),
      (error: unknown) =>
        setSession(
          error instanceof ApiError && error.status === 401
            ? { state: "out" }
            : { state: "error", error },
        ),
    );
  }, []);
  useEffect(load, [load]);
  const signedOut = useCallback(
    // More than one call may find out; what was said first stays.
    () => setSession((known) => (known.state === "out" ? known : { state: "out" })),
    [],
  );
  const erased = useCallback((erased: Erased) => {
    history.replaceState(null, "", "/");
    setSession({ state: "out", erased });
  }, []);

  switch (session.state) {
    case "loading":
      return <p className="centered">{t("loading")}</p>;
    case "out":
      return <SignIn {...(session.erased && { erased: session.erased })} />;
    case "error":
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
