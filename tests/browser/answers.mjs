// What the server answered to pages, kept for the comparison with the OpenAPI document as
// tests/support/answer_record.h keeps it.
import { appendFileSync } from 'node:fs';

const folder = process.env.TWINCHAT_ANSWERS;
const written = new Set();
const max_body = 256 * 1024;

async function record(response) {
  // As the page sees them: of an answer that is still right in the browser's cache, the kept ones.
  const headers = response.headers();
  // Every answer of twinchat-server has an id; those of other servers and of the tests have none.
  if (!('x-request-id' in headers)) return;
  const { 'x-request-id': id, date, ...lasting } = headers;
  const { pathname, search } = new URL(response.url());
  const request = response.request();
  const body = await response.text();
  const line = JSON.stringify({
    method: request.method(),
    target: pathname + search,
    metrics: false,
    request: request.postData() ?? '',
    status: response.status(),
    headers: lasting,
    body: body.slice(0, max_body),
    // A stream may have been stopped by the page.
    whole: body.length <= max_body && !headers['content-type']?.startsWith('text/event-stream'),
  });
  // The same call again and again says nothing new.
  if (written.has(line)) return;
  written.add(line);
  appendFileSync(`${folder}/${process.pid}.jsonl`, `${line}\n`);
}

// Without the environment's TWINCHAT_ANSWERS nothing is kept.
export function keepAnswers(context) {
  if (!folder) return;
  // A page that goes away takes with it what it has not read.
  context.on('response', (response) => void record(response).catch(() => {}));
}
