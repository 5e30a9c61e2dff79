import { useEffect, useState } from "preact/hooks";

// A value that components follow.
export interface Store<T> {
  get(): T;
  set(value: T): void;
  subscribe(listener: () => void): () => void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export function useStore<T>(store: Store<T>): T {
  const [, redraw] = useState(0);
  const drawn = store.get();
  useEffect(() => {
    // What changed between the drawing and this effect.
    if (!Object.is(drawn, store.get())) redraw((n) => n + 1);
    return store.subscribe(() => redraw((n) => n + 1));
  }, [store]);
  return drawn;
}
