import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fixture, open, operator, screenshot, told } from './fixture.mjs';
import { people } from './seed.mjs';

describe('One person', () => {
  let context;
  let page;
  before(async () => ({ context, page } = await operator(people.jane)));
  after(() => context.close());

  test("One person's data are exported and erased in one step, wherever they are", async () => {
    const { programs, root } = fixture;
    const details = { name: 'Erika', email: 'erika@example.com' };
    const first = await programs.openSession(details);
    const second = await programs.openSession({ ...details, name: 'Erika M.' });
    await programs.ask(first, 'Please forget the word zanzibar');
    await open(page, `/sessions/${second}/`);
    await page.getByRole('link', { name: "This person's data" }).click();
    await page.getByRole('heading', { name: '2 sessions, 2 messages' }).waitFor();
    await screenshot(page, 'person');

    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export as a file' }).click();
    const stream = await (await saved).createReadStream();
    let text = '';
    for await (const piece of stream) text += piece;
    const file = JSON.parse(text);
    assert.deepEqual(
      file.sessions.map(({ session_id }) => session_id).sort(),
      [first, second].sort(),
    );
    assert.match(text, /zanzibar/);

    await page.getByRole('button', { name: 'Erase everywhere' }).click();
    const dialog = page.getByRole('dialog', { name: 'Erase this person everywhere?' });
    await dialog.waitFor();
    await screenshot(page, 'erase');
    await dialog.getByRole('button', { name: 'Erase 2 sessions and 2 messages' }).click();
    await told(page, 'success', 'Erased for good: 2 sessions and 2 messages.');
    assert.equal((await root.get('sessions/?q=erika')).results.length, 0);
    assert.equal((await root.get('messages/?q=zanzibar')).results.length, 0);
    // What the person was found by is not in the address.
    assert.doesNotMatch(page.url(), /erika/);
  });

  test('A person is found by phone number however it is written', async () => {
    await open(page, '/person/');
    await page.getByLabel('Phone number').check();
    await page.getByRole('textbox', { name: 'Phone number' }).fill('91-98765-43210');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByRole('heading', { name: '1 session, 7 messages' }).waitFor();
    await page.getByRole('textbox', { name: 'Phone number' }).fill('000');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByRole('heading', { name: 'Nothing is kept of this person.' }).waitFor();
  });
});
