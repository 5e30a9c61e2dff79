// Compares answers, as tests/support/answer_record.h keeps them, with the OpenAPI document.
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const withoutSlash = (path) => (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);

// A JSON pointer to what lies below those keys.
const pointerTo = (...keys) =>
  keys
    .map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1')))
    .join('/');

// The events of a stream; of one that was cut, those that are whole.
export function eventsOf(text, whole = true) {
  const blocks = text.split('\n\n');
  if (blocks.pop() !== '' && whole) throw new Error('the last event is not complete');
  return blocks
    .filter((block) => !block.startsWith(':'))
    .map((block) => {
      const event = {};
      for (const line of block.split('\n')) {
        const [, name, value] = /^(\w+): (.*)$/s.exec(line) ?? [];
        if (!name || name in event) throw new Error(`not an event: ${block}`);
        event[name] = name === 'data' ? JSON.parse(value) : value;
      }
      return event;
    });
}

export class Comparison {
  #document;
  #ajv = new Ajv2020({ strict: false });
  #validators = new Map();
  #paths;
  #seen = new Set();

  constructor(document) {
    this.#document = document;
    addFormats.default(this.#ajv);
    this.#ajv.addSchema(document, 'openapi');
    this.#paths = Object.entries(document.paths)
      .map(([path, item]) => {
        const literal = withoutSlash(path).replace(/[.*+?^$()|[\]\\]/g, '\\$&');
        const below = item['x-below'] ? '(/.*)?' : '';
        return { path, item, pattern: new RegExp(`^${literal.replace(/\{[^}]*\}/g, '[^/]+')}${below}$`) };
      })
      // What is written out goes before what has a parameter, the longer before what is above it.
      .sort((a, b) => a.path.split('{').length - b.path.split('{').length || b.path.length - a.path.length);
  }

  // What is wrong with that answer; null when nothing is.
  problem(record) {
    try {
      return this.#problem(record);
    } catch (error) {
      return error.message;
    }
  }

  // Operations and statuses of the document, and those that no answer had: [operationId, statuses].
  coverage() {
    let documented = 0;
    const never = [];
    for (const { item } of this.#paths) {
      for (const operation of Object.values(item)) {
        const statuses = Object.keys(operation.responses ?? {}).filter((status) => status !== 'default');
        documented += statuses.length;
        const missed = statuses.filter((status) => !this.#seen.has(`${operation.operationId} ${status}`));
        if (missed.length > 0) never.push([operation.operationId, missed]);
      }
    }
    const missed = never.reduce((sum, [, statuses]) => sum + statuses.length, 0);
    return { documented, seen: documented - missed, never };
  }

  // The node after its $ref, and where it lies.
  #located(node, pointer) {
    if (!node.$ref) return [node, pointer];
    const keys = node.$ref.slice(2).split('/');
    return [keys.reduce((at, key) => at[key], this.#document), keys.join('/')];
  }

  #mismatch(pointer, value) {
    let validate = this.#validators.get(pointer);
    if (!validate) {
      validate = this.#ajv.compile({ $ref: `openapi#/${pointer}` });
      this.#validators.set(pointer, validate);
    }
    return validate(value) ? null : this.#ajv.errorsText(validate.errors, { dataVar: 'body' });
  }

  #bodyProblem(record, response, pointer) {
    const [type] = (record.headers['content-type'] ?? '').split(';');
    for (const [name, node] of Object.entries(response.headers ?? {})) {
      const [header] = this.#located(node);
      if (header.required && !(name.toLowerCase() in record.headers)) return `no ${name}`;
    }
    if (record.method === 'HEAD' || record.status === 304) return record.body ? 'a body' : null;
    if (record.body === '' && !response.content) return null;
    if (!(type in (response.content ?? {}))) return `content of type ${type || 'none'}`;
    const schema = `${pointer}/content/${pointerTo(type)}/schema`;
    if (type === 'text/event-stream') {
      for (const event of eventsOf(record.body, record.whole)) {
        const problem = this.#mismatch(`${schema}/contentSchema/items`, event);
        if (problem) return `event ${JSON.stringify(event)}: ${problem}`;
      }
      return null;
    }
    if (!record.whole) return null;
    return this.#mismatch(schema, type === 'application/json' ? JSON.parse(record.body) : record.body);
  }

  #problem(record) {
    const refused = this.#document.components.responses.Refused;
    if (refused['x-statuses-without-body'].includes(record.status)) {
      return record.body ? 'a body' : 'location' in record.headers ? null : 'no Location';
    }
    const path = withoutSlash(decodeURI(record.target.replace(/[?#].*/s, '')));
    const found = this.#paths.find(
      ({ item, pattern }) => Boolean(item.servers) === record.metrics && pattern.test(path),
    );
    const method = record.method === 'HEAD' ? 'get' : record.method.toLowerCase();
    const operation = record.method && found?.item[method];
    if (!operation) return this.#elsewhere(record, found);

    const at = `paths/${pointerTo(found.path, method)}`;
    const key = record.status in operation.responses ? String(record.status) : 'default';
    const [response, pointer] = this.#located(operation.responses[key], `${at}/responses/${key}`);
    if (key === 'default' && !response['x-statuses'].includes(record.status)) {
      return `the status is not in the document`;
    }
    this.#seen.add(`${operation.operationId} ${key}`);
    const problem = this.#bodyProblem(record, response, pointer);
    if (problem) return problem;

    // What was taken must be what the document says that one may send.
    if (record.status >= 300 || !record.request || !operation.requestBody) return null;
    const sent = `${at}/requestBody/content/application~1json/schema`;
    const wrong = this.#mismatch(sent, JSON.parse(record.request));
    return wrong && `the request ${record.request}: ${wrong}`;
  }

  // The answer to what the document has no operation for.
  #elsewhere(record, found) {
    if (record.method === 'OPTIONS' && record.status === 200) return record.body ? 'a body' : null;
    const refused = this.#document.components.responses.Refused;
    const wanted = found && record.method !== 'OPTIONS' ? 405 : 404;
    // Of what is no request, or the second of several, it is not known what it asks.
    const unclear = record.method === '';
    if (unclear && record.status < 400) return null;
    if (!unclear && record.status !== wanted && !refused['x-statuses'].includes(record.status)) {
      return 'the operation is not in the document';
    }
    if (record.metrics) return record.body ? 'a body' : null;
    return this.#bodyProblem(record, refused, 'components/responses/Refused');
  }
}
