/**
 * The exported model: `model.json` and the files that it lists, fetched when they are first needed.
 *
 * Every file is compared with the digest in `model.json`. One that differs, say from a cache that
 * was torn, is fetched once more past all caches.
 */

import { ModelError, readTables } from "../format";
import type { Pack } from "../format";
import type { ModelFacts, Progress } from "../protocol";
import { download } from "./download";

export type Report = (progress: Progress) => void;

export class Model {
  private constructor(
    readonly facts: ModelFacts,
    private readonly folder: URL,
  ) {}

  /** Read `model.json`, beside which all other files lie. */
  static async open(folder: URL): Promise<Model> {
    const answer = await fetch(new URL("model.json", folder));
    if (!answer.ok) {
      throw new ModelError("the page came without its model. Build it anew with 'make viewer'.");
    }
    const facts = (await answer.json()) as ModelFacts;
    if (facts.schema !== 1) {
      throw new ModelError(`model.json has schema ${facts.schema}, and this page knows 1 only.`);
    }
    return new Model(facts, folder);
  }

  has(name: string): boolean {
    return name in this.facts.files;
  }

  /** Bytes of files, of those that the model has. */
  bytesOf(names: readonly string[]): number {
    return names.reduce((sum, name) => sum + (this.facts.files[name]?.bytes ?? 0), 0);
  }

  /** Fetch a file whole and make sure that it is the right one. */
  async file(name: string, onBytes: (n: number) => void): Promise<Uint8Array<ArrayBuffer>> {
    const url = new URL(name, this.folder);
    const { bytes, sha256 } = this.facts.files[name];
    let data = await download(url, bytes, onBytes);
    if (!(await isRight(data, sha256))) {
      for (const cache of await caches.keys()) await (await caches.open(cache)).delete(url);
      data = await download(url, bytes, () => {}, "reload");
      if (!(await isRight(data, sha256))) {
        throw new ModelError(`${name} of the model is not what model.json says. Load the page anew.`);
      }
    }
    return data;
  }

  /** Read the tables and facts that files are read with. */
  async pack(onBytes: (n: number) => void): Promise<Pack> {
    return {
      name: this.facts.name,
      weightsId: parseInt(this.facts.weights_id, 16),
      stride: this.facts.stride,
      tables: readTables(await this.file("tables.safetensors", onBytes)),
    };
  }
}

/** Compare digests; without a secure context there is no way to, and length must do. */
async function isRight(data: Uint8Array<ArrayBuffer>, sha256: string): Promise<boolean> {
  if (!globalThis.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}
