/** The main path: bytes to a picture, and a picture to bytes, as `vqcodec/codec.py` goes it. */

import {
  LimitError,
  ModelNotFoundError,
  describeWeights,
  encodeIndexMap,
  receive,
  smallestFile,
  write,
} from "../format";
import type { Header, Pack, Received } from "../format";
import { MAX_PIXELS } from "../protocol";
import type { Ask, Decoded, Facts, Made, Picture } from "../protocol";
import { place } from "./latents";
import { nearest } from "./nearest";
import type { Report } from "./model";
import type { Nets } from "./nets";
import { largestWithin } from "./ratecontrol";
import { cheapest } from "./rdo";
import { fromWords, restore } from "./restoring";

const HEAD_BYTES = 16; // of a file of one packet: magic and the packet's head

/** Decode a file, or what is left of it. */
export async function decode(data: Uint8Array, nets: Nets, report: Report): Promise<Decoded> {
  nets.load(["decoder.onnx"], report); // it comes in while the file is read
  const pack = await nets.pack(report);
  const begin = performance.now();
  report({ stage: "coding", done: 0, total: 1 });
  const received = receiveHere(data, pack);
  const { header, indices, h, w, losses } = received;
  const { width, height, tier } = header;
  const tables = pack.tables.get(tier)!;
  const filled = losses.nErased > 0 ? await restore(received, tables, nets, report) : null;
  const latents = filled?.latents ?? fromWords(indices, w, tables);
  const picture = await nets.paint(latents, h, w, tier, { width, height }, report);
  const facts: Facts = {
    width,
    height,
    sizeBytes: data.length,
    bpp: (8 * data.length) / (width * height),
    tier,
    codebookSize: 2 ** (tier + 2),
    coding: header.coding,
    nPackets: header.nPackets,
    nParity: losses.nParity,
    model: pack.name,
    weightsId: pack.weightsId.toString(16).padStart(4, "0"),
    isWhole: losses.isWhole,
    losses: losses.isWhole ? "" : losses.describe(),
    nMissing: losses.missing.length,
    nRebuilt: losses.rebuilt.length,
    nIndices: losses.nIndices,
    nErased: losses.nErased,
    restorer: filled?.by ?? null,
    erased: losses.nErased > 0 ? Uint8Array.from(indices, (index) => (index < 0 ? 1 : 0)) : null,
    h,
    w,
    seconds: (performance.now() - begin) / 1000,
    ...nets.runsOn,
  };
  return { picture, facts };
}

/** Encode a picture, and decode the very file, so that what is shown is what others will see. */
export async function encode(
  picture: Picture,
  ask: Ask,
  nets: Nets,
  report: Report,
): Promise<Made> {
  await nets.prepare(["encoder.onnx", "decoder.onnx"], report);
  const pack = await nets.pack(report);
  const begin = performance.now();
  const make = (tier: number): Promise<Uint8Array<ArrayBuffer>> =>
    makeFile(picture, tier, pack, nets, report);
  const { stride } = pack;
  const nIndices = Math.ceil(picture.height / stride) * Math.ceil(picture.width / stride);
  const atMost = (tier: number): number => fixedBytes(nIndices, tier);
  const tiers = nets.model.facts.tiers.map(({ tier }) => tier);
  const file =
    "tier" in ask
      ? await make(ask.tier)
      : await largestWithin(ask.targetBytes, tiers, make, atMost);
  const encodeSeconds = (performance.now() - begin) / 1000;
  return { ...(await decode(file, nets, report)), file, encodeSeconds };
}

async function makeFile(
  picture: Picture,
  tier: number,
  pack: Pack,
  nets: Nets,
  report: Report,
): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = picture;
  const { stride, weightsId } = pack;
  const tables = pack.tables.get(tier)!;
  const w = Math.ceil(width / stride);
  const nIndices = w * Math.ceil(height / stride);
  const dim = tables.codewordSize;
  const map = new Float32Array(nIndices * dim);
  await nets.encode(picture, tier, report, (core, latents) => {
    place(map, w, core, latents);
  });
  report({ stage: "coding", done: 0, total: 1 });
  const header = { tier, nPackets: 1, weightsId, width, height, stride };
  if (tables.context !== undefined) {
    const head: Header = { ...header, coding: "context" };
    const file = write(head, encodeIndexMap(cheapest(map, head, tables), head, tables));
    // Where fixed coding is smaller, as of some very small maps, nothing is gained by words that
    // are not the nearest.
    if (file.length < fixedBytes(nIndices, tier)) return file.slice();
  }
  return smallestFile(nearest(map, tables.codewords, dim), header, tables).slice();
}

/** Size of a file of one packet in fixed coding. */
function fixedBytes(nIndices: number, tier: number): number {
  return HEAD_BYTES + Math.ceil((nIndices * (tier + 2)) / 8);
}

/** Receive, with this page's limit said as such. */
function receiveHere(data: Uint8Array, pack: Pack): Received {
  try {
    return receive(data, (header) => insist(pack, header), { maxPixels: MAX_PIXELS });
  } catch (error) {
    if (!(error instanceof LimitError) || error.details.expected !== MAX_PIXELS) throw error;
    const [fact] = error.message.split(";");
    throw new LimitError(`${fact}, this page's limit; 'vqcodec decode' takes more`, error.details);
  }
}

/** The one pack of this page, if the file was made with it. */
function insist(pack: Pack, header: Header): Pack {
  if (header.weightsId !== pack.weightsId) {
    throw new ModelNotFoundError(
      `needs ${describeWeights(header.weightsId)}; this page has ${pack.name} alone. ` +
        "Decode it with 'vqcodec decode' and its own pack",
      { expected: header.weightsId, found: pack.weightsId },
    );
  }
  return pack;
}
