import { after, afterEach, before } from 'node:test';
import { leave, start, stop } from './scene.mjs';
import { nothingBadHappened } from './watch.mjs';

before(start);
after(stop);
afterEach(async () => {
  await leave();
  nothingBadHappened();
});

await import('./visit.mjs');
await import('./trouble.mjs');
await import('./asking.mjs');
await import('./embedding.mjs');
await import('./hostile_answers.mjs');
await import('./reach.mjs');
