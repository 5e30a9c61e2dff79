import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { column, fixture, open, operator, screenshot, settled, told } from './fixture.mjs';
import { people } from './seed.mjs';

describe('Messages, turns, figures and files', () => {
  let context;
  let page;
  before(async () => ({ context, page } = await operator(people.jane)));
  after(() => context.close());

  const found = (text) => page.locator('.found').filter({ hasText: text }).waitFor();

  test('Messages are listed, newest first, searched and filtered', async () => {
    await open(page, '/messages/');
    await screenshot(page, 'messages');
    const ids = (await column(page, 'Id')).map(Number);
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => b - a),
    );
    await page.getByRole('searchbox').fill('reverse diabetes');
    await page.keyboard.press('Enter');
    await found('1 result');
    await settled(page);
    assert.deepEqual(await column(page, 'Content'), ['How can I reverse diabetes?']);
    assert.deepEqual(await column(page, 'Is bot'), ['No']);
    // Of one session: by its id.
    await page.getByRole('searchbox').fill(fixture.sessions.priya);
    await page.keyboard.press('Enter');
    await found('7 results');
    await page.getByRole('link', { name: /^Yes \d+/ }).click();
    await found('3 results');
    await settled(page);
    assert.deepEqual(await column(page, 'Is bot'), ['Yes', 'Yes', 'Yes']);
    assert.match(page.url(), /is_bot=1/);
  });

  test('A long message is cut after fifty characters in the list', async () => {
    const content = `${'word '.repeat(30)}end`;
    const made = await fixture.root.post('messages/', {
      session_id: fixture.sessions.tom,
      content,
      is_bot: true,
    });
    await open(page, `/messages/?session_id=${fixture.sessions.tom}`);
    const texts = await column(page, 'Content');
    assert.ok(texts.every((text) => text.length <= 50));
    assert.ok(texts.includes(content.slice(0, 50).trimEnd()));
    await fixture.root.request('DELETE', `messages/${made.id}/`);
  });

  test('A message is added to a session that is found by searching', async () => {
    await open(page, '/messages/add/');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await told(page, 'error', 'Please correct the errors below');
    await page.getByText('This field may not be blank.').first().waitFor();
    await page.getByLabel('Session', { exact: true }).fill('Tom Ba');
    await screenshot(page, 'add-message');
    await page.getByRole('button', { name: /Tom Baker/ }).click();
    await page.getByLabel('Content').fill('Somebody will call you back.');
    await page.getByLabel('Is bot').check();
    await page.getByRole('button', { name: 'Save and continue editing' }).click();
    await told(page, 'success', 'was added');
    await page.getByRole('heading', { name: /^Message \d+$/ }).waitFor();
    assert.ok(await page.getByLabel('Is bot').isChecked());
    await page.getByRole('link', { name: fixture.sessions.tom }).click();
    await page.getByRole('log').getByText('Somebody will call you back.').waitFor();
  });

  test('A message is edited; of two who do it at once the second is told', async () => {
    await open(page, `/messages/?q=call+you+back`);
    await page.getByRole('cell').getByRole('link').first().click();
    await page.getByLabel('Content').waitFor();
    await screenshot(page, 'message');
    const id = /messages\/(\d+)/.exec(page.url())[1];
    await fixture.root.patch(`messages/${id}/`, { content: 'Theirs.' });
    await page.getByLabel('Content').fill('Mine.');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Somebody changed it meanwhile' });
    await dialog.getByText('Theirs.').waitFor();
    await dialog.getByRole('button', { name: 'Back to the form' }).click();
    assert.equal(await page.getByLabel('Content').inputValue(), 'Mine.');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await told(page, 'success', `Message ${id} was changed.`);
    assert.equal((await fixture.root.get(`messages/${id}/`)).content, 'Mine.');

    await open(page, `/messages/${id}/`);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Yes, delete it' }).click();
    await told(page, 'success', `Message ${id} was deleted.`);
    await open(page, `/messages/${id}/`);
    await page.getByRole('alert').getByText('Not found').waitFor();
  });

  test('A long export shows how far it is, and can be stopped', async () => {
    await open(page, '/export/?what=messages');
    const network = await context.newCDPSession(page);
    await network.send('Network.enable');
    await network.send('Network.emulateNetworkConditions', {
      offline: false,
      latency: 0,
      downloadThroughput: 4_000,
      uploadThroughput: -1,
    });
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    await page.getByText(/^[1-9]\d* of 2\d\d messages, [\d.]+ kB$/).waitFor();
    await screenshot(page, 'export-progress');
    await page.getByRole('button', { name: 'Stop' }).click();
    await told(page, 'warning', 'The export was stopped. No file was saved.');
    await network.detach();
  });

  test('All messages that match are deleted after a question', async () => {
    await open(page, `/messages/?q=line&session_id=${fixture.sessions.long}`);
    await found('230 results');
    await page.getByLabel('Choose all on this page').check();
    await page.getByRole('button', { name: 'Choose all 230 messages that match' }).click();
    await page.getByLabel('Action:').selectOption('delete');
    await page.getByRole('button', { name: 'Go' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete 230 messages?' });
    await dialog.getByRole('button', { name: 'Yes, delete them' }).click();
    await told(page, 'success', 'Deleted 230 messages.');
    await found('0 results');
  });

  test('Unanswered and flagged questions are seen at a glance and lead to their conversation', async () => {
    await open(page, '/');
    await screenshot(page, 'index');
    await page.getByRole('link', { name: /1\s*unanswered in 7 days/ }).click();
    await page.getByRole('heading', { name: 'Unanswered and flagged' }).waitFor();
    await settled(page);
    await screenshot(page, 'turns');
    assert.deepEqual(await column(page, 'Status'), ['failed']);
    assert.deepEqual(await column(page, 'Question'), ['Is anybody there?']);
    await page.getByRole('link', { name: 'Flagged', exact: true }).click();
    await page.waitForURL(/status=flagged/);
    await settled(page);
    assert.deepEqual(await column(page, 'Status'), ['blocked', 'cut']);
    await page.getByRole('link', { name: 'Priya Sharma' }).first().click();
    await page.getByRole('log').getByText('Something that is refused').waitFor();
  });

  test('Answers with a thumb down are seen at a glance, listed, and lead to their conversation', async () => {
    await open(page, '/');
    await page.getByRole('link', { name: /1\s*thumbs down in 7 days/ }).click();
    await page.getByRole('heading', { name: 'Answers with a thumb' }).waitFor();
    await settled(page);
    await screenshot(page, 'disliked');
    assert.deepEqual(await column(page, 'Visitor says'), ['Thumb down']);
    assert.deepEqual(await column(page, 'Question'), ['What does a plan look like?']);
    await page.getByRole('link', { name: 'Thumb up', exact: true }).click();
    await page.waitForURL(/feedback=up/);
    await settled(page);
    assert.deepEqual(await column(page, 'Visitor says'), ['Thumb up']);
    assert.deepEqual(await column(page, 'Status'), ['answered']);
    await page.getByRole('link', { name: 'Cut', exact: true }).click();
    await page.waitForURL(/status=truncated/);
    await page.getByText('No answer has such a thumb.').waitFor();
    await page.getByRole('link', { name: 'Thumb down', exact: true }).click();
    await page.waitForURL(/feedback=down/);
    await page.getByRole('link', { name: 'Priya Sharma' }).click();
    await page.getByRole('log').getByText('Thumb down').waitFor();
  });

  test('Statistics show the days as charts, and as tables', async () => {
    await open(page, '/statistics/');
    await page.locator('canvas').nth(5).waitFor();
    await screenshot(page, 'statistics');
    const funnel = await page.locator('.funnel').innerText();
    assert.match(funnel, /Opened a chat\s+\d+\s+100 %/);
    await page
      .getByText(/^US\$\d/)
      .first()
      .waitFor();
    const table = async (title) => {
      await page.getByRole('button', { name: `${title}: as a table` }).click();
      const rows = page.getByRole('table', { name: title }).getByRole('row');
      assert.equal(await rows.count(), 31);
      return (await rows.last().innerText()).split('\t').slice(1);
    };
    // Failed, empty, interrupted, cancelled, blocked, cut.
    assert.deepEqual(await table('Questions without a good answer'), [
      '1',
      '0',
      '0',
      '0',
      '1',
      '1',
    ]);
    assert.deepEqual(await table('Thumbs up and down'), ['1', '1']);
    assert.match(await page.locator('.figures').innerText(), /of thumbs are up\s+50 %/);
    for (const cell of await table('Time to the answer')) assert.match(cell, /^[\d.,]+ (ms|s)$/);
    await page.getByRole('link', { name: '7 days' }).click();
    await page.waitForURL(/from=/);
    await page.waitForFunction(
      () => document.querySelectorAll('.chart-table tbody')[0]?.rows.length === 7,
    );
  });

  test('An export shows how far it is and gives the file as JSON too', async () => {
    await open(page, `/messages/?session_id=${fixture.sessions.priya}`);
    await page.getByRole('link', { name: 'Export these' }).click();
    await page.getByLabel('JSON, for programs').check();
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const download = await saved;
    assert.match(download.suggestedFilename(), /messages.*\.json$/);
    const stream = await download.createReadStream();
    let text = '';
    for await (const piece of stream) text += piece;
    const rows = JSON.parse(text);
    assert.equal(rows.length, 7);
    assert.ok(rows.every(({ session_id }) => session_id === fixture.sessions.priya));
    await told(page, 'success', 'Exported 7 messages');
  });

  test('An export that breaks off saves nothing and says so', async () => {
    await page.route('**/api/admin/export/**', (route) => route.abort('connectionreset'));
    await open(page, '/export/?what=messages');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    await told(page, 'error', 'The server cannot be reached.');
    await page.unroute('**/api/admin/export/**');
  });
});
