/**
 * The build: static files with relative addresses, so that the page works from any folder.
 *
 * onnxruntime-web's WebAssembly goes along gzipped (the page unpacks it), its two glue modules as
 * they are; both are written to public/ort/, by version, so that no cache serves a stale one. The
 * service worker gets the list of what was built.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, gzipSync } from "node:zlib";

import { defineConfig, defaultClientConditions } from "vite";
import type { Plugin } from "vite";

const HERE = import.meta.dirname;
const RUNTIME = join(HERE, "node_modules", "onnxruntime-web");
const BUILDS = { wasm: "ort-wasm-simd-threaded", webgpu: "ort-wasm-simd-threaded.jspi" } as const;

// 'self' alone, but for what WebAssembly and its threads need. `vqcodec view` sends the same.
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Put the runtime's files where both the build and the development server find them. */
function runtimes(): Record<string, { wasm: string; module: string; bytes: number }> {
  const { version } = JSON.parse(readFileSync(join(RUNTIME, "package.json"), "utf8"));
  const folder = join(HERE, "public", "ort", version);
  mkdirSync(folder, { recursive: true });
  return Object.fromEntries(
    Object.entries(BUILDS).map(([backend, name]) => {
      const packed = join(folder, `${name}.wasm.gz`);
      if (!existsSync(packed)) {
        const wasm = readFileSync(join(RUNTIME, "dist", `${name}.wasm`));
        writeFileSync(packed, gzipSync(wasm, { level: constants.Z_BEST_COMPRESSION }));
      }
      writeFileSync(join(folder, `${name}.mjs`), readFileSync(join(RUNTIME, "dist", `${name}.mjs`)));
      const at = `ort/${version}/${name}`;
      return [
        backend,
        { wasm: `${at}.wasm.gz`, module: `${at}.mjs`, bytes: statSync(packed).size },
      ];
    }),
  );
}

function packageVersion(): string {
  const text = readFileSync(join(HERE, "..", "..", "pyproject.toml"), "utf8");
  return /^version = "([^"]+)"$/m.exec(text)?.[1] ?? "unknown";
}

const contentSecurity: Plugin = {
  name: "content-security",
  apply: "build", // the development server injects scripts and styles of its own
  transformIndexHtml: () => [
    {
      tag: "meta",
      attrs: { "http-equiv": "Content-Security-Policy", content: POLICY },
      injectTo: "head-prepend",
    },
  ],
};

/** Tell the service worker what was built: a change of any file is a change of it, too. */
const serviceWorker: Plugin = {
  name: "service-worker",
  apply: "build",
  closeBundle() {
    const dist = join(HERE, "dist");
    if (!existsSync(join(dist, "sw.js"))) return;
    const files = readdirSync(dist, { recursive: true, encoding: "utf8" })
      .map((name) => name.replaceAll("\\", "/"))
      .filter((name) => name !== "sw.js" && statSync(join(dist, name)).isFile())
      .sort();
    const isLarge = (name: string): boolean => /^(model|ort)\//.test(name);
    const digest = (names: string[]): string => {
      const hash = createHash("sha256");
      for (const name of names) hash.update(`${name}\0`).update(readFileSync(join(dist, name)));
      return hash.digest("hex").slice(0, 12);
    };
    const large = files.filter(isLarge);
    const small = files.filter((name) => !isLarge(name));
    const build = { page: { id: digest(small), files: small }, model: { id: digest(large), files: large } };
    const code = readFileSync(join(dist, "sw.js"), "utf8");
    writeFileSync(join(dist, "sw.js"), `self.BUILD=${JSON.stringify(build)};\n${code}`);
  },
};

export default defineConfig({
  root: HERE,
  base: "./",
  define: {
    __VERSION__: JSON.stringify(packageVersion()),
    __RUNTIMES__: JSON.stringify(runtimes()),
  },
  resolve: {
    // onnxruntime-web without the glue modules bundled in: its threads load them as files.
    conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions],
  },
  worker: { format: "es" },
  plugins: [contentSecurity, serviceWorker],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      input: { index: join(HERE, "index.html"), sw: join(HERE, "src", "sw", "sw.ts") },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  server: {
    headers: {
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    },
  },
});
