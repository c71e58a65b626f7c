/**
 * A model's networks: loaded when they are first needed, run tile by tile.
 *
 * Where a GPU fails, be it while a network is prepared or while it runs, everything goes on with
 * WASM.
 */

import type { InferenceSession } from "onnxruntime-web/wasm";

import type { Pack, TierTables } from "../format";
import type { Backend, Picture } from "../protocol";
import { fromPlanes, toPlanes } from "./frame";
import type { Model, Report } from "./model";
import { hasGpu, runtimeBytes, startRuntime } from "./runtime";
import type { Runtime } from "./runtime";
import { cut, tilesFor } from "./tiles";
import type { Window } from "./tiles";

export type NetName = "encoder.onnx" | "decoder.onnx" | "restorer.onnx";

const TABLES = "tables.safetensors";

// As of Python's restorer, whatever the other networks take.
const RESTORER_CORE = 64;
const RESTORER_WHOLE = 96 * 96;
const LOGITS_AT_ONCE = 1 << 22;

type Feeds = Readonly<Record<string, { data: Float32Array | Int32Array; dims: number[] }>>;

/** A frame of (h, w, D) latents as planes, (D, fh, fw). */
export type Latents = (frame: Window) => Float32Array;

export class Nets {
  #runtime: Promise<Runtime> | null = null;
  #pack: Promise<Pack> | null = null;
  #files = new Map<NetName, Promise<Uint8Array>>();
  #sessions = new Map<NetName, InferenceSession>();
  #threads = 1;
  // What is being loaded, for all jobs together; the one that runs hears of it.
  #loading = { done: 0, total: 0 };
  #report: Report = () => {};

  private constructor(
    readonly model: Model,
    private readonly base: URL,
    private backend: Backend,
  ) {}

  static async open(model: Model, base: URL, asked: Backend | "auto"): Promise<Nets> {
    const backend = asked === "auto" ? ((await hasGpu()) ? "webgpu" : "wasm") : asked;
    return new Nets(model, base, backend);
  }

  get runsOn(): { backend: Backend; threads: number } {
    return { backend: this.backend, threads: this.#threads };
  }

  /** The tables; they are what a file is read with. */
  pack(report: Report): Promise<Pack> {
    this.load([], report);
    return this.#pack!;
  }

  /** Begin to load the tables, networks and the runtime, all at once; nobody waits for them yet. */
  load(names: readonly NetName[], report: Report): void {
    this.#report = report;
    const loading = this.#loading;
    if (loading.done >= loading.total) loading.done = loading.total = 0;
    const count = (n: number): void => {
      loading.done += n;
      this.#report({ stage: "loading", ...loading });
    };
    if (this.#pack === null) {
      loading.total += this.model.bytesOf([TABLES]);
      this.#pack = this.model.pack(count);
      this.#pack.catch(() => (this.#pack = null)); // the next job tries again
    }
    const missing = names.filter((name) => this.model.has(name) && !this.#sessions.has(name));
    if (missing.length > 0 && this.#runtime === null) {
      loading.total += runtimeBytes(this.backend);
      const starting = startRuntime(this.backend, this.base, count);
      this.#runtime = starting;
      starting.catch(() => (this.#runtime = null));
    }
    for (const name of missing.filter((name) => !this.#files.has(name))) {
      loading.total += this.model.bytesOf([name]);
      const file = this.model.file(name, count);
      this.#files.set(name, file);
      file.catch(() => this.#files.delete(name));
    }
  }

  /** Load networks and make them ready to run. */
  async prepare(names: readonly NetName[], report: Report): Promise<void> {
    this.load(names, report);
    try {
      for (const name of names) {
        if (this.#sessions.has(name) || !this.model.has(name)) continue;
        const [runtime, file] = await Promise.all([this.#runtime!, this.#files.get(name)!]);
        report({ stage: "preparing", done: 0, total: 1 });
        this.#sessions.set(name, await runtime.session(file));
        this.#threads = runtime.threads;
        this.#files.delete(name);
      }
    } catch (error) {
      if (!this.#fallBack(error)) throw error;
      await this.prepare(names, report);
    }
  }

  /**
   * Encode a picture, its edges repeated to the stride.
   *
   * @param take gets each core and its latents, (D, n) by planes
   */
  async encode(
    picture: Picture,
    tier: number,
    report: Report,
    take: (core: Window, latents: Float32Array) => void,
  ): Promise<void> {
    const { stride, encoder_halo, latent_dim } = this.model.facts;
    const h = Math.ceil(picture.height / stride);
    const w = Math.ceil(picture.width / stride);
    const tiles = tilesFor(this.model.facts, h, w, encoder_halo);
    await this.prepare(["encoder.onnx"], report);
    for (const [at, tile] of tiles.entries()) {
      report({ stage: "encoding", done: at, total: tiles.length });
      const { frame } = tile;
      const planes = toPlanes(picture, frame, stride);
      const dims = [1, 3, (frame.bottom - frame.top) * stride, (frame.right - frame.left) * stride];
      const feeds = { image: { data: planes, dims }, tier: { data: Int32Array.of(tier), dims: [1] } };
      const latent = await this.#run("encoder.onnx", feeds, "latent");
      take(tile.core, part(latent, latent_dim, frame.right - frame.left, tile.inner));
    }
  }

  /** Paint a picture of latents. */
  async paint(
    latents: Latents,
    h: number,
    w: number,
    tier: number,
    size: { width: number; height: number },
    report: Report,
  ): Promise<Picture> {
    const { stride, decoder_halo, latent_dim } = this.model.facts;
    const tiles = tilesFor(this.model.facts, h, w, decoder_halo);
    await this.prepare(["decoder.onnx"], report);
    const picture = { ...size, rgba: new Uint8ClampedArray(4 * size.width * size.height) };
    for (const [at, tile] of tiles.entries()) {
      report({ stage: "painting", done: at, total: tiles.length });
      const { frame } = tile;
      const dims = [1, latent_dim, frame.bottom - frame.top, frame.right - frame.left];
      const feeds = {
        latent: { data: latents(frame), dims },
        tier: { data: Int32Array.of(tier), dims: [1] },
      };
      const image = await this.#run("decoder.onnx", feeds, "image");
      fromPlanes(image, frame, tile.inner, tile.core, stride, picture);
    }
    return picture;
  }

  /**
   * Have the model's restorer look at a map with gaps.
   *
   * @param indices (h, w), -1 where lost
   * @returns latents (h, w, D), right where indices are lost
   */
  async restore(
    indices: Int32Array,
    h: number,
    w: number,
    { tier, codewords, codebookSize, codewordSize: dim }: TierTables,
    report: Report,
  ): Promise<Float32Array> {
    await this.prepare(["restorer.onnx"], report);
    const { restorer_halo = 0 } = this.model.facts;
    const out = new Float32Array(h * w * dim);
    const tiles = cut(h, w, restorer_halo, RESTORER_CORE, RESTORER_WHOLE);
    const atOnce = Math.max(1, Math.floor(LOGITS_AT_ONCE / codebookSize));
    for (const [at, { frame, core }] of tiles.entries()) {
      report({ stage: "restoring", done: at, total: tiles.length });
      const columns = frame.right - frame.left;
      const seen = new Int32Array((frame.bottom - frame.top) * columns);
      for (let y = frame.top; y < frame.bottom; y++) {
        const row = indices.subarray(y * w + frame.left, y * w + frame.right);
        seen.set(row, (y - frame.top) * columns);
      }
      const gaps: number[] = []; // flat positions of the core's gaps, in the map
      for (let y = core.top; y < core.bottom; y++) {
        for (let x = core.left; x < core.right; x++) {
          if (indices[y * w + x] < 0) gaps.push(y * w + x);
        }
      }
      for (let start = 0; start < gaps.length; start += atOnce) {
        const mine = gaps.slice(start, start + atOnce);
        const places = Int32Array.from(
          mine,
          (gap) => (Math.floor(gap / w) - frame.top) * columns + (gap % w) - frame.left,
        );
        const feeds: Feeds = {
          indices: { data: seen, dims: [frame.bottom - frame.top, columns] },
          codewords: { data: codewords, dims: [codebookSize, dim] },
          tier: { data: Int32Array.of(tier), dims: [1] },
          places: { data: places, dims: [places.length] },
        };
        const found = await this.#run("restorer.onnx", feeds, "latents");
        mine.forEach((gap, n) => out.set(found.subarray(n * dim, (n + 1) * dim), gap * dim));
      }
    }
    return out;
  }

  async #run(name: NetName, feeds: Feeds, output: string): Promise<Float32Array> {
    const runtime = await this.#runtime!;
    const tensors = Object.entries(feeds).map(
      ([key, { data, dims }]) => [key, runtime.tensor(data, dims)] as const,
    );
    try {
      const found = (await this.#sessions.get(name)!.run(Object.fromEntries(tensors)))[output];
      return (await found.getData()) as Float32Array;
    } catch (error) {
      if (!this.#fallBack(error)) throw error;
      await this.prepare([name], () => {});
      return this.#run(name, feeds, output);
    }
  }

  /** Leave the GPU after a failure; false where there is nothing to fall back to. */
  #fallBack(error: unknown): boolean {
    if (this.backend === "wasm") return false;
    console.warn("WebGPU failed; going on with WASM.", error);
    this.backend = "wasm";
    this.#runtime = null;
    this.#sessions.clear();
    return true;
  }
}

/** The inner part of planes, (D, ih * iw). */
function part(planes: Float32Array, dim: number, width: number, inner: Window): Float32Array {
  const rows = inner.bottom - inner.top;
  const columns = inner.right - inner.left;
  const plane = planes.length / dim;
  if (plane === rows * columns) return planes;
  const out = new Float32Array(dim * rows * columns);
  for (let d = 0, to = 0; d < dim; d++) {
    for (let y = inner.top; y < inner.bottom; y++, to += columns) {
      const from = d * plane + y * width + inner.left;
      out.set(planes.subarray(from, from + columns), to);
    }
  }
  return out;
}
