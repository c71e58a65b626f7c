/**
 * onnxruntime-web, started once: its WebAssembly is shipped gzipped and unpacked here.
 *
 * WASM takes threads where the page is isolated from others. WebGPU needs a build of its own, which
 * waits for the GPU by JSPI; it is loaded only where the browser has both and gives an adapter.
 */

import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";

import type { Backend } from "../protocol";
import { download, unpack } from "./download";

const MAX_THREADS = 4;

/** A network that does nothing: y = x. */
const IDLE = "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBE=";

/** The part of onnxruntime-web that is used; both of its builds have it. */
export interface Runtime {
  readonly backend: Backend;
  readonly threads: number;
  session(model: Uint8Array): Promise<InferenceSession>;
  tensor(data: Float32Array | Int32Array, dims: number[]): Tensor;
}

/** Bytes to load for a backend. */
export function runtimeBytes(backend: Backend): number {
  return __RUNTIMES__[backend].bytes;
}

/** Whether the networks can run on a GPU here: not on one that is played by the processor. */
export async function hasGpu(): Promise<boolean> {
  interface Gpu {
    requestAdapter(): Promise<{ info?: { isFallbackAdapter?: boolean } } | null>;
  }
  const gpu = (navigator as { gpu?: Gpu }).gpu;
  if (gpu === undefined || !("Suspending" in WebAssembly)) return false;
  try {
    const adapter = await gpu.requestAdapter();
    return adapter !== null && adapter.info?.isFallbackAdapter !== true;
  } catch {
    return false;
  }
}

/**
 * Load and set up a backend.
 *
 * @param base of the page, where the runtime's files lie
 * @param onBytes called with the number of bytes of each piece
 */
export async function startRuntime(
  backend: Backend,
  base: URL,
  onBytes: (n: number) => void,
): Promise<Runtime> {
  const { wasm, module, bytes } = __RUNTIMES__[backend];
  const [ort, binary] = await Promise.all([
    backend === "webgpu" ? import("onnxruntime-web/jspi") : import("onnxruntime-web/wasm"),
    download(new URL(wasm, base), bytes, onBytes).then(unpack),
  ]);
  const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, MAX_THREADS) : 1;
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.wasmPaths = { mjs: new URL(module, base).href };
  ort.env.wasm.numThreads = backend === "webgpu" ? 1 : threads;
  ort.env.logLevel = "error";
  const session: Runtime["session"] = (model) =>
    ort.InferenceSession.create(model, {
      executionProviders: [backend],
      graphOptimizationLevel: "all",
      logSeverityLevel: 3, // errors: of a GPU it warns that shapes are computed beside it
    });
  // The first session compiles the WebAssembly and starts the threads: now, while networks come in.
  const idle = await session(Uint8Array.from(atob(IDLE), (letter) => letter.charCodeAt(0)));
  await idle.release();
  return {
    backend,
    threads: ort.env.wasm.numThreads,
    session,
    tensor: (data, dims) =>
      data instanceof Float32Array
        ? new ort.Tensor("float32", data, dims)
        : new ort.Tensor("int32", data, dims),
  };
}
