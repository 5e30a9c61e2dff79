import { after, afterEach, before } from 'node:test';
import { start, stop } from './fixture.mjs';
import { nothingBadHappened } from './watch.mjs';

before(start);
after(stop);
afterEach(nothingBadHappened);

await import('./login.mjs');
await import('./sessions.mjs');
await import('./conversation.mjs');
await import('./messages.mjs');
await import('./people.mjs');
await import('./accounts.mjs');
await import('./hostile.mjs');
await import('./accessibility.mjs');
await import('./api_docs.mjs');
