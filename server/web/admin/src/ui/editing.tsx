import { useState } from "preact/hooks";
import { ApiError, type FieldErrors } from "../api/client.ts";
import { flash, navigateWith } from "../messages.ts";
import { Dialog, Nothing, Said } from "./basics.tsx";
import { draftBase, useDraft, useSubmit } from "./form.tsx";

interface EditingOptions<R, F> {
  // The draft's key.
  key: string;
  loaded: R;
  formOf: (row: R) => F;
  // Saves over `base`; refused with the code "changed" when that is not what is stored any more.
  send: (form: F, base: R) => Promise<R>;
  said: (saved: R) => string;
  // Where to go after it.
  list: string;
}

export interface Editing<R, F> {
  // What the form was filled from; a draft goes on from what it was begun with, so that what others
  // saved meanwhile is told.
  row: R;
  form: F;
  set: (changes: Partial<F>) => void;
  draft: { restored: boolean };
  discard: () => void;
  busy: boolean;
  errors: FieldErrors;
  save: (stay: boolean) => void;
  // Deletes it, and tells so on the list.
  remove: (action: () => Promise<unknown>, said: string) => void;
  clash: Clash<F> | null;
}

// What somebody else saved meanwhile, and what may be done about it.
interface Clash<F> {
  mine: F;
  theirs: F;
  base: F;
  save: (form: F) => void;
  keep: (form: F) => void;
  discard: () => void;
}

// A row that others may change while it is edited here.
export function useEditing<R extends object, F extends Record<string, string>>(
  options: EditingOptions<R, F>,
): Editing<R, F> {
  const { key, loaded, formOf, send, said, list } = options;
  const [row, setRow] = useState(() => draftBase<{ row: R }>(key)?.row ?? loaded);
  const draft = useDraft<F & { row: R }>(key, { ...formOf(row), row });
  const submit = useSubmit();
  const [newer, setNewer] = useState<{ mine: F; row: R } | null>(null);
  const { row: _, ...values } = draft.values;
  const form = values as unknown as F;

  const take = (now: R) => {
    setRow(now);
    draft.reset({ ...formOf(now), row: now });
    setNewer(null);
  };
  const set = (changes: Partial<F>) => draft.set(changes as Partial<F & { row: R }>);
  const save = (mine: F, base: R, stay: boolean) =>
    void submit.run(async () => {
      try {
        const saved = await send(mine, base);
        take(saved);
        if (stay) flash("success", `${said(saved)} You may edit it again below.`);
        else navigateWith(list, "success", said(saved));
      } catch (error) {
        if (!(error instanceof ApiError) || error.code !== "changed") {
          setNewer(null);
          throw error;
        }
        setNewer({ mine, row: error.body["current"] as R });
      }
    });

  return {
    row,
    form,
    set,
    draft,
    discard: () => take(loaded),
    busy: submit.busy,
    errors: submit.errors,
    save: (stay) => save(form, row, stay),
    remove: (action, text) =>
      void submit.run(async () => {
        await action();
        draft.reset(draft.values);
        navigateWith(list, "success", text);
      }),
    clash: newer && {
      mine: newer.mine,
      theirs: formOf(newer.row),
      base: formOf(row),
      save: (chosen) => save(chosen, newer.row, true),
      keep: (chosen) => {
        take(newer.row);
        set(chosen);
      },
      discard: () => {
        take(newer.row);
        flash(
          "warning",
          "Your changes were discarded. The form shows what was saved by somebody else.",
        );
      },
    },
  };
}

interface ConflictProps<F extends Record<string, string>> {
  labels: Record<keyof F & string, string>;
  clash: Clash<F>;
  busy: boolean;
}

// Both versions, field by field.
export function Conflict<F extends Record<string, string>>(props: ConflictProps<F>) {
  const { labels, clash, busy } = props;
  const { mine, theirs, base } = clash;
  const names = Object.keys(labels) as (keyof F & string)[];
  const differing = names.filter((name) => mine[name] !== theirs[name]);
  // What only the other one touched is theirs, everything else is mine until chosen otherwise.
  const [chosen, setChosen] = useState<F>(() => {
    const start = { ...theirs };
    for (const name of names) if (mine[name] !== base[name]) start[name] = mine[name];
    return start;
  });
  const choice = (name: keyof F & string, value: string, whose: string) => (
    <label class={chosen[name] === value ? "version chosen" : "version"}>
      <input
        type="radio"
        name={`conflict-${name}`}
        aria-label={`${labels[name]}: ${whose}`}
        checked={chosen[name] === value}
        onChange={() => setChosen({ ...chosen, [name]: value })}
      />
      <span class="whose">{whose}</span>
      {value ? <Said text={value} /> : <Nothing>empty</Nothing>}
    </label>
  );
  return (
    <Dialog title="Somebody changed it meanwhile" class="conflict" onClose={() => clash.keep(mine)}>
      <p>Nothing of yours was saved yet, and nothing of theirs is lost. Choose what is to stay.</p>
      {differing.length === 0 && <p>Both of you wrote the same.</p>}
      {differing.map((name) => (
        <fieldset key={name}>
          <legend>{labels[name]}</legend>
          <div class="versions">
            {choice(name, mine[name] ?? "", "Mine")}
            {choice(name, theirs[name] ?? "", "Theirs")}
          </div>
        </fieldset>
      ))}
      <div class="buttons">
        <button type="button" class="primary" disabled={busy} onClick={() => clash.save(chosen)}>
          Save what is chosen
        </button>
        <button type="button" onClick={() => clash.keep(chosen)}>
          Back to the form
        </button>
        <button type="button" class="danger end" onClick={clash.discard}>
          Discard mine
        </button>
      </div>
    </Dialog>
  );
}
