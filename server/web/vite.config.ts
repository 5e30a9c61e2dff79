import { defineConfig } from "vite";

// TWINCHAT_API: during development, the server whose API the pages ask.
const api = process.env["TWINCHAT_API"];

export default defineConfig({
  root: "admin",
  base: "/admin/",
  publicDir: false,
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    target: "es2022",
    // A data: URL would be allowed for pictures, but not for scripts and fonts: files only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: api ? { proxy: { "/api": api } } : {},
});
