// Compares every answer that the tests recorded with the document:
//   node validate.mjs <openapi.json> <folder of *.jsonl>
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Comparison } from './comparison.mjs';

const [documentFile, folder] = process.argv.slice(2);
const comparison = new Comparison(JSON.parse(readFileSync(documentFile, 'utf8')));
const wrong = new Map();
let answers = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith('.jsonl'))) {
  for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
    if (line === '') continue;
    const record = JSON.parse(line);
    answers += 1;
    const problem = comparison.problem(record);
    if (!problem) continue;
    const where = `${record.method} ${record.target.replace(/\?.*/s, '')} ${record.status}: ${problem}`;
    if (!wrong.has(where)) wrong.set(where, record.body.slice(0, 300));
  }
}
const { documented, seen, never } = comparison.coverage();
for (const [operation, statuses] of never) console.log(`never seen: ${operation} ${statuses.join(' ')}`);
console.log(`${answers} answers; seen were ${seen} of ${documented} pairs of operation and status`);
for (const [where, body] of wrong) console.log(`WRONG: ${where}\n       ${body}`);
if (answers === 0) console.log('no answer was recorded');
process.exitCode = wrong.size > 0 ? 1 : 0;
