// What must never happen on a page is listened for: scripts of visitors or of the model, violations of
// the page's policy, requests that leave for elsewhere, and exceptions.
import assert from 'node:assert/strict';
import { keepAnswers } from './answers.mjs';

export const offences = [];

export function nothingBadHappened() {
  const found = offences.splice(0);
  assert.deepEqual(found, []);
}

// `home`: the origins that requests may go to, when they are made.
export async function watch(context, home) {
  const note = (what) => offences.push(what);
  keepAnswers(context);
  await context.exposeBinding('xss', (_, where) => note(`a visitor's script ran: ${where}`));
  await context.exposeBinding('noteViolation', (_, what) => note(`policy violated: ${what}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      window.noteViolation(`${event.violatedDirective} by ${event.blockedURI} ${event.sample}`),
    );
  });
  context.on('page', (page) => {
    page.on('pageerror', (error) => note(`exception: ${error.message}`));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) note(message.text());
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!/^(data|blob):/.test(url) && !home().some((origin) => url.startsWith(`${origin}/`))) {
        note(`a request left for ${url}`);
      }
    });
  });
}

// The arguments of the browser: nothing that it does of its own accord.
export const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
