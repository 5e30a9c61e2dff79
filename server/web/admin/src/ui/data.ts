import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client.ts";

export interface Loaded<T> {
  // What was loaded last; what is shown stays while something else is on its way.
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
  replace: (data: T) => void;
}

// Loads what `key` names, again whenever the key changes.
export function useData<T>(key: string, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: ApiError | null }>({
    key: "",
    data: null,
    error: null,
  });
  const [round, setRound] = useState(0);
  const loader = useRef(load);
  loader.current = load;
  const wanted = `${round} ${key}`;
  useEffect(() => {
    const abort = new AbortController();
    loader.current(abort.signal).then(
      (data) => {
        if (!abort.signal.aborted) setState({ key: wanted, data, error: null });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(0, {}, null);
        setState({ key: wanted, data: null, error: known });
      },
    );
    return () => abort.abort();
  }, [wanted]);
  const reload = useCallback(() => setRound((n) => n + 1), []);
  const replace = useCallback(
    (data: T) => setState((old) => ({ key: old.key, data, error: null })),
    [],
  );
  return { data: state.data, error: state.error, loading: state.key !== wanted, reload, replace };
}
