// The same calls as gemini_bench.cc makes, by Google's own client; prints one JSON line.
//
// Usage: node genai_bench.mjs MODULES BASE_URL REQUEST IN_FLIGHT LATENCY_MS WARM_UP SECONDS
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

const [modules, baseUrl, requestFile, ...numbers] = process.argv.slice(2);
const [inFlight, latency, warmUp, seconds] = numbers.map(Number);
const { GoogleGenAI } = createRequire(`${modules}/package.json`)('@google/genai');

const { contents, systemInstruction, generationConfig } =
  JSON.parse(readFileSync(requestFile, 'utf8'));
const ai = new GoogleGenAI({ apiKey: 'bench', vertexai: false, httpOptions: { baseUrl } });
let done = 0;
let failed = 0;
let stop = false;

async function run(start) {
  await sleep(start);
  while (!stop) {
    try {
      await ai.models.generateContent({
        model: 'gemini-3.5-flash-lite',
        contents,
        config: { systemInstruction, ...generationConfig },
      });
      done += 1;
    } catch {
      failed += 1;
    }
  }
}

for (let i = 0; i < inFlight; i += 1) run((i * latency) / inFlight);
await sleep(warmUp * 1000);
const before = done;
const cpu = process.cpuUsage();
const begun = performance.now();
await sleep(seconds * 1000);
const calls = done - before;
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({
  calls_per_second: (calls * 1000) / (performance.now() - begun),
  cpu_us_per_call: (user + system) / Math.max(calls, 1),
  failed,
}));
process.exit(0);
