import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, mergeConfig } from "vite";
import admin from "./vite.config.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// The sources of the client: beside these files when CMake builds, in their own folder otherwise.
const copied = here("./client");

export default mergeConfig(
  admin,
  defineConfig({
    root: "docs",
    base: "/api/docs/",
    build: { outDir: "../docs-dist" },
    resolve: {
      alias: {
        "twinchat-client": existsSync(copied) ? copied : here("../../bindings/typescript/src"),
      },
    },
  }),
);
