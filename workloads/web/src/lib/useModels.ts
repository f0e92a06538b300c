import { useState } from "react";
import { api } from "../api/http";
import type { Model } from "../api/types";
import { useLoad } from "./useLoad";
import { useReturn } from "./useReturn";

const AUTOMATIC = "lotoai";
/** What can be asked while nothing is known. */
const UNKNOWN: readonly Model[] = [{ id: AUTOMATIC, description: "", type: "chat" }];

/** The model to ask: the one that was chosen while it is there, or else the first. */
export function modelIn(models: readonly Model[], chosen: string): string {
  return models.find(({ id }) => id === chosen)?.id ?? models[0]?.id ?? AUTOMATIC;
}

/** The models that can be asked; read again with each `version`, and when the person comes back. */
export function useModels(version: number, onError: (error: unknown) => void) {
  const [chosen, choose] = useState(AUTOMATIC);
  const { value, error, reload } = useLoad(api.models, onError, version);
  useReturn(reload, reload);
  const models = value?.length ? value : UNKNOWN;
  return { models, model: modelIn(models, chosen), choose, error, reload };
}
