import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fixture, open, operator, screenshot } from './fixture.mjs';
import { people } from './seed.mjs';

describe('Conversations', () => {
  let context;
  let page;
  before(async () => ({ context, page } = await operator(people.vera)));
  after(() => context.close());

  const log = () => page.getByRole('log');
  const live = () => page.getByText('Live: new messages appear here.');

  test('A conversation is read as one, with what became of each question', async () => {
    await open(page, `/sessions/${fixture.sessions.priya}/conversation/`);
    await live().waitFor();
    await screenshot(page, 'conversation');
    const bubbles = await log().getByRole('article').allInnerTexts();
    assert.equal(bubbles.length, 7);
    assert.match(bubbles[0], /Visitor[^]*How can I reverse diabetes\?/);
    assert.match(bubbles[1], /Bot[^]*Type 2 diabetes can go into remission\./);
    const turns = await page.locator('.turn').allInnerTexts();
    assert.deepEqual(
      turns.map((turn) => turn.split('\n')[0]),
      ['answered', 'cut', 'blocked', 'failed'],
    );
    // The model, how long it took, and what it cost.
    assert.match(turns[0], /gemini/);
    assert.match(turns[0], /\d (ms|s)\b/);
    assert.match(turns[0], /\d+ \+ \d+ tokens/);
    assert.match(turns[3], /UNAVAILABLE/);
  });

  test('What is said while the page is open appears by itself', async () => {
    const { programs, sessions } = fixture;
    await open(page, `/sessions/${sessions.tom}/conversation/`);
    await live().waitFor();
    await programs.script({ text: 'We do, near the station.' });
    await programs.ask(sessions.tom, 'And when are you open?');
    await log().getByText('And when are you open?').waitFor();
    await log().getByText('We do, near the station.').waitFor();
    await page.locator('.turn', { hasText: 'answered' }).nth(1).waitFor();
    assert.equal(await log().getByText('And when are you open?').count(), 1);
    // Details that change are seen as well.
    await fixture.root.patch(`sessions/${sessions.tom}/`, { user_name: 'Tom of Chennai' });
    await page.getByRole('heading', { name: 'Tom of Chennai' }).waitFor();
    await fixture.root.patch(`sessions/${sessions.tom}/`, { user_name: 'Tom Baker' });
  });

  test('What a visitor thinks of an answer is seen at it, also when that comes while the page is open', async () => {
    const { programs, root } = fixture;
    const session_id = await programs.openSession({ name: 'Judge' });
    const said = ['Nothing is said of this.', 'This is liked.', 'This is judged later.'];
    for (const text of said) {
      await programs.script({ text });
      await programs.ask(session_id, `Say: ${text}`);
    }
    const { messages } = await root.get(`sessions/${session_id}/conversation/`);
    const think = (at, value) => programs.think(session_id, messages[2 * at + 1].id, value);
    await think(1, 'up');
    await open(page, `/sessions/${session_id}/conversation/`);
    await live().waitFor();
    const answers = page.getByRole('article', { name: 'Bot' });
    const thumbs = async () => {
      const texts = await answers.allInnerTexts();
      return texts.map((text) => /Thumb (up|down)$/.exec(text)?.[0] ?? '');
    };
    assert.deepEqual(await thumbs(), ['', 'Thumb up', '']);
    assert.match(
      await answers.nth(1).getByText('Thumb up').getAttribute('title'),
      /^Given \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/,
    );
    await think(2, 'down');
    await answers.nth(2).getByText('Thumb down').waitFor();
    await think(1, 'down');
    await answers.nth(1).getByText('Thumb down').waitFor();
    await screenshot(page, 'feedback');
    await think(1, null);
    await answers.nth(1).getByText('Thumb').waitFor({ state: 'detached' });
    assert.deepEqual(await thumbs(), ['', '', 'Thumb down']);
    assert.equal(await page.locator('.visitor').getByText('Thumb').count(), 0);
    await root.post('sessions/delete/', { session_ids: [session_id] });
  });

  test('A long conversation begins with its newest messages, and shows the earlier on request', async () => {
    await open(page, `/sessions/${fixture.sessions.long}/conversation/`);
    await log().getByText('line 230', { exact: true }).waitFor();
    assert.equal(await log().getByText('line 30', { exact: true }).count(), 0);
    await page.getByRole('button', { name: 'Show earlier messages' }).click();
    await log().getByText('line 1', { exact: true }).waitFor();
    const lines = await log().locator('.text').allInnerTexts();
    assert.deepEqual(
      lines,
      Array.from({ length: 230 }, (_, at) => `line ${at + 1}`),
    );
    assert.equal(await page.getByRole('button', { name: 'Show earlier messages' }).count(), 0);
  });

  test('When the session is deleted meanwhile, the page says so', async () => {
    const { root } = fixture;
    const { session_id } = await root.post('sessions/', { user_name: 'Short-lived' });
    await open(page, `/sessions/${session_id}/conversation/`);
    await live().waitFor();
    await root.request('DELETE', `sessions/${session_id}/`);
    await page.getByText('No longer live').waitFor();
  });
});
