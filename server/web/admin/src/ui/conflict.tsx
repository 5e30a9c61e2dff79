import { useState } from "preact/hooks";
import { Dialog, Nothing, Said } from "./basics.tsx";

interface ConflictProps<F extends Record<string, string>> {
  labels: Record<keyof F & string, string>;
  mine: F;
  theirs: F;
  // What both began with.
  base: F;
  busy: boolean;
  // Saves what was chosen over what somebody else saved.
  onSave: (form: F) => void;
  // Back to the form, filled with what was chosen.
  onKeep: (form: F) => void;
  onDiscard: () => void;
}

// Somebody else changed the object while it was being edited: both versions, field by field.
export function Conflict<F extends Record<string, string>>(props: ConflictProps<F>) {
  const { labels, mine, theirs, base } = props;
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
    <Dialog
      title="Somebody changed it meanwhile"
      class="conflict"
      onClose={() => props.onKeep(mine)}
    >
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
        <button
          type="button"
          class="primary"
          disabled={props.busy}
          onClick={() => props.onSave(chosen)}
        >
          Save what is chosen
        </button>
        <button type="button" onClick={() => props.onKeep(chosen)}>
          Back to the form
        </button>
        <button type="button" class="danger end" onClick={props.onDiscard}>
          Discard mine
        </button>
      </div>
    </Dialog>
  );
}
