// Lints the document by the rules of Redocly, the strict set:  node lint.mjs <openapi.json>
import { createConfig, lint } from '@redocly/openapi-core';

const config = await createConfig({
  extends: ['recommended-strict'],
  rules: {
    // The contract has slashes at the end.
    'no-path-trailing-slash': 'off',
    // Where nothing but `default` is wanted, it is there.
    'operation-4xx-response': 'off',
    'no-invalid-media-type-examples': { severity: 'error', allowAdditionalProperties: false },
  },
});
const problems = await lint({ ref: process.argv[2], config });
for (const { severity, ruleId, message, location } of problems) {
  console.log(`${severity} ${ruleId}: ${message} (${location[0]?.pointer})`);
}
console.log(`${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
