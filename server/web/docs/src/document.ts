// The parts of OpenAPI 3.1 that the document uses.

export interface Reference {
  $ref?: string;
}

export interface Schema extends Reference {
  type?: string | string[];
  description?: string;
  format?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  additionalProperties?: boolean | Schema;
  contentSchema?: Schema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
}

export interface Media {
  schema?: Schema;
  example?: unknown;
}

export interface Parameter extends Reference {
  name: string;
  in: "path" | "query" | "header";
  description?: string;
  required?: boolean;
  schema: Schema;
  example?: unknown;
}

export interface Answer extends Reference {
  description: string;
  headers?: Record<string, Reference & { description?: string }>;
  content?: Record<string, Media>;
}

export interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  description?: string;
  security: Record<string, string[]>[];
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses: Record<string, Answer>;
  "x-permissions"?: string[];
}

interface PathItem {
  servers?: { url: string }[];
  [method: string]: unknown;
}

export interface Document {
  info: { title: string; version: string; description: string };
  tags: { name: string; description: string }[];
  paths: Record<string, PathItem>;
  components: Record<string, Record<string, unknown>>;
}

// An operation with its place.
export interface Entry {
  method: string;
  path: string;
  // Where it is served; "" for this server.
  server: string;
  operation: Operation;
}

const methods = ["get", "post", "put", "patch", "delete"];

export function entriesOf(document: Document): Entry[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    methods
      .filter((method) => method in item)
      .map((method) => ({
        method: method.toUpperCase(),
        path,
        server: item.servers?.[0]?.url ?? "",
        operation: item[method] as Operation,
      })),
  );
}

// The node itself, where it is a reference.
export function resolve<T extends Reference>(document: Document, node: T): T {
  if (!node.$ref) return node;
  const [, , kind = "", name = ""] = node.$ref.split("/");
  return document.components[kind]?.[name] as T;
}

// "Session", of a reference to it.
export const nameOf = (node: Reference) => node.$ref?.split("/").at(-1);

// A value that the schema allows, to begin with.
export function exampleOf(document: Document, given: Schema): unknown {
  const schema = resolve(document, given);
  if (schema.const !== undefined) return schema.const;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  const one = schema.oneOf?.[0] ?? schema.anyOf?.[0];
  if (one) return exampleOf(document, one);
  if (schema.allOf) {
    return Object.assign({}, ...schema.allOf.map((part) => exampleOf(document, part)));
  }
  const [type] = [schema.type ?? "object"].flat();
  if (type === "array") return schema.items ? [exampleOf(document, schema.items)] : [];
  if (type === "integer" || type === "number") return schema.minimum ?? 0;
  if (type === "boolean") return false;
  if (type === "string") return "";
  return Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, part]) => [name, exampleOf(document, part)]),
  );
}
