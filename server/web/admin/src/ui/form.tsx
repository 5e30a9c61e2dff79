import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, type FieldErrors } from "../api/client.ts";
import { clearMessages, flash } from "../messages.ts";

// What was typed and not yet saved, by form: leaving a page and coming back loses nothing.
const drafts = new Map<string, unknown>();

window.addEventListener("beforeunload", (event) => {
  if (drafts.size > 0) event.preventDefault();
});

export const clearDrafts = () => drafts.clear();

export interface Draft<T> {
  values: T;
  set: (changes: Partial<T>) => void;
  // Takes these values as what is saved.
  reset: (saved: T) => void;
  dirty: boolean;
  // The values come from an earlier visit of the page.
  restored: boolean;
}

interface DraftState<T> {
  saved: T;
  values: T;
}

export function useDraft<T extends object>(key: string, saved: T): Draft<T> {
  const [restored, setRestored] = useState(drafts.has(key));
  const [state, setState] = useState<DraftState<T>>(
    () => (drafts.get(key) as DraftState<T> | undefined) ?? { saved, values: saved },
  );
  const dirty = JSON.stringify(state.values) !== JSON.stringify(state.saved);
  useEffect(() => {
    if (dirty) drafts.set(key, state);
    else drafts.delete(key);
  }, [key, state, dirty]);
  return {
    values: state.values,
    set: (changes) => setState((old) => ({ ...old, values: { ...old.values, ...changes } })),
    reset: (now) => {
      // At once: the page may be left before the next effect.
      drafts.delete(key);
      setRestored(false);
      setState({ saved: now, values: now });
    },
    dirty,
    restored: restored && dirty,
  };
}

// What was saved when the draft of an earlier visit was begun.
export function draftBase<T>(key: string): T | null {
  return (drafts.get(key) as DraftState<T> | undefined)?.saved ?? null;
}

export interface Submit {
  busy: boolean;
  errors: FieldErrors;
  setErrors: (errors: FieldErrors) => void;
  run: (action: () => Promise<void>) => Promise<void>;
}

// Runs what a form sends: one at a time, errors at their fields and in a red message above.
export function useSubmit(): Submit {
  const [busy, setBusy] = useState(false);
  const [errors, setErrors] = useState<FieldErrors>({});
  return {
    busy,
    errors,
    setErrors,
    async run(action) {
      if (busy) return;
      setBusy(true);
      setErrors({});
      clearMessages();
      try {
        await action();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        setErrors(error.fields);
        flash("error", error.message);
        focusFirstError();
      } finally {
        setBusy(false);
      }
    },
  };
}

function focusFirstError(): void {
  requestAnimationFrame(() => document.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
}

interface FieldProps {
  label: string;
  name: string;
  value: string;
  onInput: (value: string) => void;
  errors?: FieldErrors;
  help?: ComponentChildren;
  type?: "text" | "email" | "tel" | "password" | "number" | "date";
  rows?: number;
  readOnly?: boolean;
  required?: boolean;
  autocomplete?: string;
  maxLength?: number;
  min?: number;
  max?: number;
  autofocus?: boolean;
}

export function Field(props: FieldProps) {
  const { label, name, value, onInput, errors = {}, help, type = "text", rows } = props;
  const wrong = errors[name] ?? [];
  const described = [wrong.length > 0 && `${name}-errors`, help && `${name}-help`].filter(Boolean);
  const attributes = {
    id: `field-${name}`,
    name,
    value,
    dir: "auto" as const,
    readOnly: props.readOnly ?? false,
    required: props.required ?? false,
    // Errors are told by us, in the same way wherever they were found.
    "aria-required": props.required ?? false,
    "aria-invalid": wrong.length > 0,
    "aria-describedby": described.join(" ") || undefined,
    onInput: (event: Event) => onInput((event.currentTarget as HTMLInputElement).value),
    ...(props.maxLength ? { maxLength: props.maxLength } : {}),
    ...(props.autofocus ? { autofocus: true } : {}),
  };
  return (
    <div class={wrong.length > 0 ? "field wrong" : "field"}>
      <label for={attributes.id}>{label}</label>
      <div>
        {rows ? (
          <textarea {...attributes} rows={rows} />
        ) : (
          <input
            {...attributes}
            {...({ type } as { type: "text" })}
            autocomplete={props.autocomplete ?? "off"}
            {...(props.min !== undefined ? { min: props.min } : {})}
            {...(props.max !== undefined ? { max: props.max } : {})}
          />
        )}
        {wrong.length > 0 && (
          <ul class="errors" id={`${name}-errors`}>
            {wrong.map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        )}
        {help && (
          <div class="help" id={`${name}-help`}>
            {help}
          </div>
        )}
      </div>
    </div>
  );
}

interface CheckProps {
  label: string;
  name: string;
  checked: boolean;
  onChange: (checked: boolean) => void;
  help?: string;
  disabled?: boolean;
}

export function Check({ label, name, checked, onChange, help, disabled }: CheckProps) {
  return (
    <div class="check">
      <input
        type="checkbox"
        id={`field-${name}`}
        name={name}
        checked={checked}
        disabled={disabled}
        aria-describedby={help ? `${name}-help` : undefined}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={`field-${name}`}>{label}</label>
      {help && (
        <div class="help" id={`${name}-help`}>
          {help}
        </div>
      )}
    </div>
  );
}

interface SaveFormProps {
  label: string;
  // Whether the form is to stay open afterwards.
  onSave: (stay: boolean) => void;
  children: ComponentChildren;
}

// A form whose buttons are SaveButtons.
export const SaveForm = ({ label, onSave, children }: SaveFormProps) => (
  <form
    class="form"
    aria-label={label}
    onSubmit={(event) => {
      event.preventDefault();
      onSave(event.submitter?.getAttribute("name") === "continue");
    }}
  >
    {children}
  </form>
);

export const SaveButtons = ({ busy }: { busy: boolean }) => (
  <>
    <button type="submit" name="save" class="primary" disabled={busy}>
      Save
    </button>
    <button type="submit" name="continue" disabled={busy}>
      Save and continue editing
    </button>
  </>
);

interface NewPasswordProps<N extends string> {
  label: string;
  // The fields of the password and of its repetition.
  names: readonly [N, N];
  values: Record<N, string>;
  errors: FieldErrors;
  set: (name: N, value: string) => void;
}

// A password that is chosen, twice.
export const NewPassword = <N extends string>(props: NewPasswordProps<N>) => (
  <>
    {props.names.map((name, at) => (
      <Field
        key={name}
        label={at === 0 ? props.label : `${props.label} again`}
        name={name}
        type="password"
        autocomplete="new-password"
        value={props.values[name]}
        errors={props.errors}
        help={at === 0 && <PasswordHelp />}
        onInput={(value) => props.set(name, value)}
      />
    ))}
  </>
);

const PasswordHelp = () => (
  <ul>
    <li>At least 8 characters.</li>
    <li>Not too like your other personal data.</li>
    <li>Not one that is commonly used.</li>
    <li>Not numbers alone.</li>
  </ul>
);

// A value that is shown and cannot be changed.
export const Shown = ({ label, children }: { label: string; children: ComponentChildren }) => (
  <div class="field shown">
    <span class="label">{label}</span>
    <div>{children}</div>
  </div>
);

interface RestoredProps {
  draft: { restored: boolean };
  discard: () => void;
}

export const Restored = ({ draft, discard }: RestoredProps) =>
  draft.restored ? (
    <p class="note">
      These are your unsaved changes from before.{" "}
      <button type="button" class="link" onClick={discard}>
        Discard them
      </button>
    </p>
  ) : null;
