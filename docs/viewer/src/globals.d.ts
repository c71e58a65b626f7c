/** Facts of the build, put in by vite.config.ts. */

/** The package's version, from pyproject.toml. */
declare const __VERSION__: string;

/** onnxruntime-web's files for each backend, relative to the page; bytes of the gzipped wasm. */
declare const __RUNTIMES__: Readonly<
  Record<"wasm" | "webgpu", { readonly wasm: string; readonly module: string; readonly bytes: number }>
>;
