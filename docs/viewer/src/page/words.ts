/** Figures and facts as people read them. */

import type { Facts, ModelFacts, Progress } from "../protocol";

export function count(n: number): string {
  return n.toLocaleString("en");
}

export function bytes(n: number): string {
  if (n < 100_000) return `${count(n)} bytes`;
  return n < 1e6 ? `${Math.round(n / 1000)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}

export function seconds(n: number): string {
  return `${n.toFixed(n < 10 ? 2 : 0)} s`;
}

/** What a job is at, for the line at the bottom. */
export const STAGES: Readonly<Record<Progress["stage"], string>> = {
  loading: "Loading the model",
  preparing: "Preparing the networks",
  encoding: "Encoding",
  coding: "Coding the indices",
  restoring: "Restoring what was lost",
  painting: "Painting",
};

/** How much of a stage is done. */
export function amount({ stage, done, total }: Progress): string {
  if (stage === "loading") return `${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  return total > 1 && stage !== "preparing" ? `${done} of ${total} tiles` : "";
}

/** Name and value of everything that is told of a file. */
export function factRows(facts: Facts, encodeSeconds?: number): [string, string][] {
  const { nPackets, nParity } = facts;
  const packets = nParity > 0 ? `${nPackets} and ${nParity} of parity` : `${nPackets}`;
  const rows: [string, string][] = [
    ["File", bytes(facts.sizeBytes)],
    ["Bits per pixel", facts.bpp.toFixed(4)],
    ["Picture", `${facts.width} × ${facts.height} px`],
    ["Tier", `${facts.tier} (${count(facts.codebookSize)} words)`],
    ["Coding", facts.coding],
    ["Packets", packets],
    ["Model", `${facts.model}, weights id ${facts.weightsId}`],
  ];
  if (facts.losses) rows.push(["Lost", facts.losses]);
  if (facts.nRebuilt > 0) rows.push(["Rebuilt", `${facts.nRebuilt} packets, from parity`]);
  if (facts.restorer !== null) {
    const by = facts.restorer === "transformer" ? "by the restorer network" : "from neighbours";
    rows.push(["Restored", `${count(facts.nErased)} of ${count(facts.nIndices)} indices, ${by}`]);
  }
  if (encodeSeconds !== undefined) rows.push(["Encoded in", seconds(encodeSeconds)]);
  const threads = facts.threads > 1 ? `, ${facts.threads} threads` : "";
  const on = facts.backend === "webgpu" ? "WebGPU" : `WASM${threads}`;
  rows.push(["Decoded in", `${seconds(facts.seconds)} (${on})`]);
  return rows;
}

/** A file in a few words, for its card. */
export function cardWords(facts: Facts): string {
  const lost = facts.nMissing > 0 ? `; ${facts.nMissing} of ${facts.nPackets} packets lost, restored` : "";
  return `${bytes(facts.sizeBytes)}, tier ${facts.tier}${lost}`;
}

export function aboutWords(model: ModelFacts): string {
  const { name, weights_id, licence, summary } = model;
  return `vqcodec ${__VERSION__}. Model ${name} (weights id ${weights_id}, ${licence}): ${summary}.`;
}
