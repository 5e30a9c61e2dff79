// Plays scenarios.json with Google's own client and prints, as one JSON line a scenario, what it
// ended with. Its faults are data here, not failures: the exit status is 1 only when a scenario
// cannot be played, or a scenario that the file says the official client masters
// ("official_agrees") comes out otherwise than expected.
import { readFile } from 'node:fs/promises';

import { StandIn, clientName, makeClient } from './standin.mjs';

const question = 'scenario question';
const { model, scenarios } = JSON.parse(
  await readFile(new URL('./scenarios.json', import.meta.url), 'utf8'));

async function send(chat, scenario, message) {
  const end = { text: '', error: null };
  try {
    if (scenario.kind === 'generate') {
      end.text = (await chat.sendMessage({ message })).text ?? '';
      return end;
    }
    let pieces = 0;
    let call = null;
    for await (const chunk of await chat.sendMessageStream({ message })) {
      if (chunk.text) {
        end.text += chunk.text;
        pieces += 1;
      }
      call ??= chunk.functionCalls?.[0];
      if (pieces === scenario.stop_after_pieces) break;
    }
    if (scenario.kind === 'function' && call) {
      const { id, name } = call;
      return send(chat, { kind: 'stream' },
        [{ functionResponse: { id, name, response: { result: 'nothing' } } }]);
    }
  } catch (error) {
    end.error = error.status ? `ApiError ${error.status}` : `${error.name}: ${error.message}`;
  }
  return end;
}

const asks = (contents, text) =>
  contents.some(({ parts }) => parts?.some((part) => part.text === text));

async function play(standin, ai, scenario) {
  await standin.reset();
  const chat = ai.chats.create({ model });
  await chat.sendMessage({ message: 'first question' });
  await standin.reset();
  await standin.script(scenario.script);
  const ends = await Promise.all(
    Array.from({ length: scenario.at_once ?? 1 }, () => send(chat, scenario, question)));
  const calls = await standin.requests();
  const kept = chat.getHistory(true).filter(
    ({ role, parts }) => role === 'user' && parts.some((part) => part.text)).length;

  await standin.reset();
  const after = await send(chat, { kind: 'generate' }, 'last question');
  const [last] = await standin.requests();
  const contents = last.body.contents;
  const signature = scenario.echo_signature;
  const sentLater = asks(contents, question);
  const { expect } = scenario;
  const asExpected = ends.every(({ text }) => text === expect.text) &&
    (expect.status === 'failed') === ends.some(({ error }) => error !== null) &&
    sentLater === expect.sent_later && after.error === null &&
    (!signature || JSON.stringify(contents).includes(signature)) &&
    (!expect.calls || calls.length === expect.calls) &&
    (!scenario.at_once || asks(calls.at(-1).body.contents.slice(0, -1), question)) &&
    (!expect.min_wait_ms || calls[1]?.arrival_ms - calls[0].arrival_ms >= expect.min_wait_ms);
  return {
    client: clientName(last),
    scenario: scenario.name,
    text: ends[0].text,
    history_kept_turns: kept,
    error: ends[0].error,
    calls: calls.length,
    next_message_error: after.error,
    as_expected: asExpected,
  };
}

const standin = await StandIn.start();
let wrong = 0;
try {
  // Retries are off in this client unless asked for; the scenarios give it its best chance.
  const ai = makeClient(standin, {
    httpOptions: { retryOptions: { attempts: 4, initialDelay: 0.05, maxDelay: 0.2 } },
  });
  for (const scenario of scenarios) {
    const result = await play(standin, ai, scenario);
    console.log(JSON.stringify(result));
    if (scenario.official_agrees && !result.as_expected) {
      console.error(`${result.client} does not master ${scenario.name} any more`);
      wrong += 1;
    }
  }
} finally {
  standin.stop();
}
process.exitCode = wrong === 0 ? 0 : 1;
