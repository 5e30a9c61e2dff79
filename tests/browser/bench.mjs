// What the widget costs: its size, and the time from the click on Send to the first words on the
// screen, beside the same request made by hand in the same page.
//
// Usage: bench.mjs ROUNDS
import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import { chromium as engine } from 'playwright-core';
import { chromium, Programs } from './programs.mjs';
import { quiet } from './watch.mjs';

const rounds = Number(process.argv[2] ?? 30);
const row = (name, ...cells) =>
  console.log(`  ${name.padEnd(44)}${cells.map((cell) => String(cell).padStart(14)).join('')}`);
const at = (numbers, share) =>
  [...numbers].sort((a, b) => a - b)[Math.floor((numbers.length - 1) * share)];

const programs = await Programs.start(null, {
  CHAT_WIDGET: JSON.stringify({ consent: null, details: { when: 'never' } }),
});
const packed = await new Promise((resolve, reject) => {
  const asked = request(
    `${programs.url}/widget.js`,
    { headers: { 'Accept-Encoding': 'gzip' } },
    async (answer) => {
      const pieces = [];
      for await (const piece of answer) pieces.push(piece);
      resolve(Buffer.concat(pieces));
    },
  );
  asked.on('error', reject).end();
});
console.log('\nwidget.js, everything in it');
row('', 'bytes');
row('compressed, as it is sent', packed.length);
row('unpacked', gunzipSync(packed).length);

const browser = await engine.launch({ executablePath: chromium(), args: quiet });
const page = await browser.newPage({ baseURL: programs.url });
await page.goto('/');
await page.getByRole('textbox').waitFor();
await page.evaluate(() => {
  const root = document.querySelector('twinchat-widget').shadowRoot;
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  // From the click to the frame after the one in which the words are first there.
  window.through_widget = async (text) => {
    const input = root.querySelector('textarea');
    input.value = text;
    input.dispatchEvent(new Event('input'));
    const before = root.querySelectorAll('.list .bot').length;
    const begin = performance.now();
    root.querySelector('.send').click();
    await new Promise((resolve) => {
      const watcher = new MutationObserver(() => {
        const all = root.querySelectorAll('.list .bot .body');
        if (all.length <= before || !all[before].textContent.trim()) return;
        watcher.disconnect();
        resolve();
      });
      watcher.observe(root, { subtree: true, childList: true, characterData: true });
    });
    await painted();
    return performance.now() - begin;
  };
  window.by_hand = async (session_id, message) => {
    const begin = performance.now();
    const response = await fetch('/api/chat/message/stream/', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() },
      body: JSON.stringify({ session_id, message }),
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ''; !text.includes('event: delta');) text += (await reader.read()).value ?? '';
    const took = performance.now() - begin;
    for (;;) if ((await reader.read()).done) return took;
  };
});
console.log(`\nFrom the click on Send to the first words, ${rounds} rounds, milliseconds`);
row("the model's own latency", 'by hand p50', 'widget p50', 'widget p95', 'widget more');
const session = await programs.openSession({});
for (const latency of [0, 200, 1000]) {
  const [hand, widget] = [[], []];
  for (let round = 0; round < (latency > 500 ? Math.ceil(rounds / 5) : rounds); ++round) {
    const reply = { chunks: ['First words', ' and the rest.'], latency_ms: latency, chunk_ms: 20 };
    await programs.script(reply, reply);
    hand.push(
      await page.evaluate(([id, text]) => window.by_hand(id, text), [session, `Hand ${round}`]),
    );
    widget.push(await page.evaluate((text) => window.through_widget(text), `Widget ${round}`));
    await page.getByRole('button', { name: 'Send', exact: true }).waitFor();
  }
  const [base, median] = [at(hand, 0.5), at(widget, 0.5)];
  row(
    `${latency} ms`,
    base.toFixed(1),
    median.toFixed(1),
    at(widget, 0.95).toFixed(1),
    (median - base).toFixed(1),
  );
}
await browser.close();
await programs.stop();
