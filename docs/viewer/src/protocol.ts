/** What the page and its worker say to each other: plain data, so that it crosses by copy. */

import type { Coding } from "./format";

/** Pictures of more pixels are refused, before memory is taken for them. */
export const MAX_PIXELS = 1 << 24;

/** Where the networks run; `auto` takes a GPU where there is one that can. */
export type Backend = "wasm" | "webgpu";

/** A picture as canvases hold it: (height, width, 4) bytes, opaque. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

/** How to choose the tier: named, or the largest whose whole file fits. */
export type Ask = { readonly tier: number } | { readonly targetBytes: number };

/** The exported model's `model.json`. */
export interface ModelFacts {
  readonly schema: number;
  readonly name: string;
  readonly summary: string;
  readonly licence: string;
  readonly weights_id: string;
  readonly weights_sha256: string;
  readonly stride: 16 | 8;
  readonly latent_dim: number;
  readonly default_tier: number;
  readonly tiers: readonly { readonly tier: number; readonly codebook_size: number }[];
  readonly whole: number;
  /** The networks look at statistics of the whole picture: larger grids cannot be cut. */
  readonly whole_only?: boolean;
  readonly core: number;
  readonly encoder_halo: number;
  readonly decoder_halo: number;
  readonly restorer_halo?: number;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

/** What a decoded file says of itself, and of what was lost on the way. */
export interface Facts {
  readonly width: number;
  readonly height: number;
  readonly sizeBytes: number;
  readonly bpp: number;
  readonly tier: number;
  readonly codebookSize: number;
  readonly coding: Coding;
  readonly nPackets: number;
  readonly nParity: number;
  readonly model: string;
  readonly weightsId: string;
  readonly isWhole: boolean;
  /** The command line's sentence on losses; empty where nothing was lost. */
  readonly losses: string;
  readonly nMissing: number;
  readonly nRebuilt: number;
  readonly nIndices: number;
  readonly nErased: number;
  /** What filled the gaps, null where there were none. */
  readonly restorer: "transformer" | "neighbour" | null;
  /** (h, w), 1 where an index was lost; null where none was. */
  readonly erased: Uint8Array | null;
  readonly h: number;
  readonly w: number;
  readonly seconds: number;
  readonly backend: Backend;
  readonly threads: number;
}

export interface Decoded {
  readonly picture: Picture;
  readonly facts: Facts;
}

export interface Made extends Decoded {
  readonly file: Uint8Array<ArrayBuffer>;
  readonly encodeSeconds: number;
}

/** How far a job is; `loading` counts bytes, the others steps. */
export interface Progress {
  readonly stage: "loading" | "preparing" | "encoding" | "coding" | "restoring" | "painting";
  readonly done: number;
  readonly total: number;
}

/** A job and its answer, by the job's name. */
export interface Jobs {
  start: { in: { backend: Backend | "auto"; page: string }; out: ModelFacts };
  decode: { in: { data: Uint8Array }; out: Decoded };
  encode: { in: { picture: Picture; ask: Ask }; out: Made };
}

export type JobName = keyof Jobs;

export type Request = {
  [K in JobName]: { readonly id: number; readonly job: K; readonly input: Jobs[K]["in"] };
}[JobName];

export type Reply =
  | { readonly id: number; readonly progress: Progress }
  | { readonly id: number; readonly result: Jobs[JobName]["out"] }
  | { readonly id: number; readonly error: { readonly kind: string; readonly message: string } };
