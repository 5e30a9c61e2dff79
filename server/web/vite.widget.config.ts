import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { defineConfig } from "vite";

// TWINCHAT_API: as in vite.config.ts.
const api = process.env["TWINCHAT_API"];
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// As in vite.docs.config.ts.
const copied = here("./client");
const script = "chat/widget.js";

// The widget is one script, for pages of any site; page/ is the page around it at /.
export default defineConfig({
  root: "widget",
  publicDir: "page",
  build: {
    outDir: "../chat",
    emptyOutDir: true,
    target: "es2022",
    lib: {
      entry: "src/main.ts",
      formats: ["iife"],
      name: "twinchatWidget",
      fileName: () => "widget.js",
    },
    reportCompressedSize: false,
  },
  resolve: {
    alias: {
      "twinchat-client": existsSync(copied) ? copied : here("../../bindings/typescript/src"),
    },
  },
  // In UTF-8: half as long in Hindi.
  esbuild: { charset: "utf8" },
  plugins: [
    {
      name: "gzip",
      apply: "build",
      closeBundle: () =>
        writeFileSync(`${script}.gz`, gzipSync(readFileSync(script), { level: 9 })),
    },
  ],
  server: api ? { proxy: { "/api": api } } : {},
});
