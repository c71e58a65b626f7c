/**
 * What a pack's tiers are coded with, from its tensors: every key, type, shape and bound checked.
 *
 * FORMAT.md sections 7.1 and 7A.2. `weights.safetensors` of a pack will do, and so will
 * `tables.safetensors` of an exported one, which has the same tensors under the same keys.
 */

import { ContextModel } from "./context";
import type { Layer } from "./context";
import { ModelMismatchError, PackError } from "./errors";
import { faultOfTable } from "./frequencies";
import type { Coding, Stride } from "./layout";
import { HIGHEST_TIER, LOWEST_TIER } from "./layout";
import { codebookSize } from "./packets";
import { readSafetensors, toNumbers } from "./safetensors";
import type { Numbers, Tensor } from "./safetensors";

/** What one tier of a pack is coded with. */
export interface TierTables {
  readonly tier: number;
  /** K. */
  readonly codebookSize: number;
  /** (K,) integers that sum to 65536. */
  readonly frequencies: Uint16Array;
  /** (K, E) by rows. */
  readonly codewords: Float32Array;
  /** E. */
  readonly codewordSize: number;
  /** Absent where the pack has no context model for the tier. */
  readonly context?: ContextModel;
}

/** Tier id -> its tables, ascending. */
export type Tables = ReadonlyMap<number, TierTables>;

/** What a file is read with: tables, and the facts of the manifest that a file must agree with. */
export interface Pack {
  readonly name: string;
  readonly weightsId: number;
  readonly stride: Stride;
  readonly tables: Tables;
}

/**
 * What a file of a pack is read or written with.
 *
 * @throws ModelMismatchError the pack has no such tier, or no context model for it
 */
export function tablesFor(pack: Pack, tier: number, coding: Coding): TierTables {
  const tables = pack.tables.get(tier);
  if (!tables) {
    const known = [...pack.tables.keys()].join(", ");
    throw new ModelMismatchError(`model pack '${pack.name}' has no tier ${tier}; it has ${known}`);
  }
  if (coding === "context" && !tables.context) {
    throw new ModelMismatchError(
      `model pack '${pack.name}' has no context model for tier ${tier}, which coding ` +
        "'context' needs; give a pack that has one with --model, or encode with --coding auto",
    );
  }
  return tables;
}

/** Tensors, taken one by one with what each must be; tiers share some, which are read once. */
class Tensors {
  private readonly taken = new Map<string, unknown>();

  constructor(private readonly tensors: ReadonlyMap<string, Tensor>) {}

  get keys(): string[] {
    return [...this.tensors.keys()];
  }

  has(key: string): boolean {
    return this.tensors.has(key);
  }

  /** Read a tensor; `null` in its shape stands for any size but 0. */
  take<T extends keyof Numbers>(
    key: string,
    dtypes: readonly T[],
    ...shape: (number | null)[]
  ): [Numbers[T], number[]] {
    const tensor = this.tensors.get(key);
    if (!tensor) {
      throw new PackError(`${key}: missing`);
    }
    const { dtype, shape: found } = tensor;
    const isFitting =
      found.length === shape.length &&
      found.every((size, i) => size === shape[i] || (shape[i] === null && size > 0));
    if (!isFitting || !dtypes.some((name) => name === dtype)) {
      const wanted = shape.map((size) => size ?? "any").join(", ");
      throw new PackError(
        `${key}: ${dtype} (${found.join(", ")}), expected ${dtypes.join(" or ")} (${wanted})`,
      );
    }
    if (!this.taken.has(key)) {
      this.taken.set(key, toNumbers(tensor));
    }
    return [this.taken.get(key) as Numbers[T], [...found]];
  }

  bytes(key: string, ...shape: (number | null)[]): [Int8Array, number[]] {
    return this.take(key, ["I8"], ...shape);
  }

  words(key: string, ...shape: number[]): Int32Array {
    return this.take(key, ["I32"], ...shape)[0];
  }
}

/** Do something of which a fault is told with its place. */
function within<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof PackError) {
      throw new PackError(`${place}: ${error.message}; get the pack again`);
    }
    throw error;
  }
}

/**
 * Read the tables of all tiers.
 *
 * @param safetensors the whole file
 * @throws PackError no safetensors file, or a table or context model that breaks the rules
 */
export function readTables(safetensors: Uint8Array): Tables {
  const tensors = new Tensors(readSafetensors(safetensors));
  const tables = new Map<number, TierTables>();
  for (let tier = LOWEST_TIER; tier <= HIGHEST_TIER; tier++) {
    if (tensors.has(`tier.${tier}.frequencies`)) {
      tables.set(tier, readTier(tensors, tier));
    }
  }
  if (!tables.size) {
    throw new PackError("model weights: no tier.T.frequencies in them; get the pack again");
  }
  return tables;
}

function readTier(tensors: Tensors, tier: number): TierTables {
  const size = codebookSize(tier);
  const [frequencies, [codewords, codewordSize]] = within("model weights", () => {
    const key = `tier.${tier}.frequencies`;
    const [table] = tensors.take(key, ["U16"], size);
    const fault = faultOfTable(table);
    if (fault) {
      throw new PackError(`${key}: ${fault}`);
    }
    const [words, shape] = tensors.take(`tier.${tier}.codewords`, ["F16", "F32"], size, null);
    return [table, [words, shape[1]] as const] as const;
  });
  const told = { tier, codebookSize: size, frequencies, codewords, codewordSize };
  if (!tensors.has(`context.${tier}.bias`)) {
    return told;
  }
  const context = within(`context model of tier ${tier}`, () =>
    readContext(tensors, tier, codewords, codewordSize),
  );
  return { ...told, context };
}

function readContext(
  tensors: Tensors,
  tier: number,
  codewords: Float32Array,
  dim: number,
): ContextModel {
  const size = codebookSize(tier);
  const [offsets, [nOffsets]] = tensors.bytes("context.offsets", null, 2);
  const [first, [, hidden]] = tensors.bytes("context.first.weight", nOffsets * dim, null);
  const [neck, [, width]] = tensors.bytes("context.neck.weight", hidden, null);
  if (width < dim) {
    throw new PackError(`context.neck.weight: ${width} columns for codewords of ${dim}`);
  }
  const nBlocks = tensors.keys.filter((key) => key.startsWith("context.block.")).length / 2;
  const [shifts] = tensors.take("context.shifts", ["U8"], Math.floor(nBlocks) + 2);
  const blocks: Layer[] = [];
  for (let number = 0; number < Math.floor(nBlocks); number++) {
    const [weight] = tensors.bytes(`context.block.${number}.weight`, hidden, hidden);
    const bias = tensors.words(`context.block.${number}.bias`, hidden);
    blocks.push({ weight, bias, shift: shifts[1 + number] });
  }
  if (!Number.isInteger(nBlocks)) {
    throw new PackError("context.block: a weight or a bias too many");
  }
  return new ContextModel({
    offsets,
    codewords,
    special: tensors.bytes("context.special", 2, dim)[0],
    first: { weight: first, bias: tensors.words(`context.${tier}.bias`, hidden), shift: shifts[0] },
    blocks,
    neck: {
      weight: neck,
      bias: tensors.words("context.neck.bias", width),
      shift: shifts[shifts.length - 1],
    },
    learned: tensors.bytes(`context.${tier}.learned`, size, width - dim)[0],
    logitBias: tensors.words(`context.${tier}.logit_bias`, size),
  });
}
