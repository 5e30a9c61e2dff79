import { type Document, nameOf, resolve, type Schema } from "./document.ts";

const limits = [
  ["minimum", "at least"],
  ["maximum", "at most"],
  ["minLength", "characters, at least"],
  ["maxLength", "characters, at most"],
] as const;

// "string or null, date-time", or the name of what it is.
function kindOf(schema: Schema, name: string | undefined): string {
  const parts: string[] = [];
  if (schema.const !== undefined) parts.push(JSON.stringify(schema.const));
  else if (schema.enum) parts.push(schema.enum.map((value) => JSON.stringify(value)).join(", "));
  else if (schema.type) parts.push([schema.type].flat().join(" or "));
  if (name) parts.unshift(name);
  if (schema.format) parts.push(schema.format);
  for (const [key, words] of limits) {
    if (schema[key] !== undefined && !(key === "minimum" && schema[key] === 0)) {
      parts.push(`${words} ${schema[key]}`);
    }
  }
  return parts.join(" · ");
}

interface Shown {
  document: Document;
  schema: Schema;
  // The schemas that this one is part of, by name.
  within?: string[];
}

// What a schema consists of; nothing for plain values.
export function SchemaParts({ document, schema: given, within = [] }: Shown) {
  const schema = resolve(document, given);
  const name = nameOf(given);
  if (name && within.includes(name)) return null;
  const inside = name ? [...within, name] : within;
  const part = (one: Schema, label: string, required = false) => (
    <SchemaRow {...{ document, schema: one, label, required, within: inside }} />
  );
  const choices = schema.oneOf ?? schema.anyOf;
  const rows = [
    ...Object.entries(schema.properties ?? {}).map(([key, one]) =>
      part(one, key, schema.required?.includes(key)),
    ),
    ...(schema.allOf ?? []).map((one) => part(one, "and")),
    ...(choices ?? []).map((one, index) => part(one, index === 0 ? "either" : "or")),
    ...(schema.items ? [part(schema.items, "each")] : []),
    ...(schema.contentSchema ? [part(schema.contentSchema, "events")] : []),
    ...(typeof schema.additionalProperties === "object"
      ? [part(schema.additionalProperties, "any other")]
      : []),
  ];
  return rows.length > 0 ? <ul class="schema">{rows}</ul> : null;
}

function SchemaRow(props: Shown & { label: string; required: boolean }) {
  const { document, schema: given, label, required, within = [] } = props;
  const schema = resolve(document, given);
  return (
    <li>
      <code>{label}</code> <small>{kindOf(schema, nameOf(given))}</small>
      {required && <small class="required"> required</small>}
      {schema.description && <p>{schema.description}</p>}
      <SchemaParts document={document} schema={given} within={within} />
    </li>
  );
}
