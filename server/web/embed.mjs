// Writes a folder as a C++ source: embed.mjs FOLDER OUTPUT FUNCTION. See web_files.h.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';

const types = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

function filesBelow(folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

const [folder, output, name] = process.argv.slice(2);
const files = filesBelow(folder)
  .map((file) => {
    const type = types[extname(file)];
    if (!type) throw new Error(`${file}: no content type is known for it`);
    const content = readFileSync(file);
    const hash = createHash('sha256').update(content).digest('hex').slice(0, 32);
    return { path: relative(folder, file).split(sep).join('/'), type, content, hash };
  })
  .sort((a, b) => (a.path < b.path ? -1 : 1));

// A string literal would run into the compilers' limits.
const bytes = (content) =>
  [...content].map((byte, at) => byte + (at % 32 === 31 ? ',\n' : ',')).join('');

const arrays = files.map(
  ({ content }, at) => `constexpr unsigned char kFile${at}[] = {\n${bytes(content)}};\n`,
);
const entries = files.map(
  ({ path, type, hash, content }, at) =>
    `    {"${path}", "${type}", "\\"${hash}\\"",\n` +
    `     {reinterpret_cast<const char*>(kFile${at}), ${content.length}}},\n`,
);
writeFileSync(
  output,
  `// Made by server/web/embed.mjs.
#include "web/web_files.h"

namespace twinchat::server {
namespace {

${arrays.join('\n')}
const WebFile kFiles[] = {
${entries.join('')}};

}  // namespace

std::span<const WebFile> ${name}() { return kFiles; }

}  // namespace twinchat::server
`,
);
