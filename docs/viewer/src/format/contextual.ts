/**
 * Coding mode 2 over a whole index map, in waves; each packet has its own coder.
 *
 * FORMAT.md section 7A. Packets that are lost, or turn out to be bad on the way, leave the others
 * alone.
 */

import type { ContextModel } from "./context";
import { FormatError } from "./errors";
import { LOST } from "./layout";
import { checkLength } from "./lengths";
import { mapHeight, mapWidth, numIndices } from "./packets";
import type { Header } from "./packets";
import { RangeDecoder, RangeEncoder } from "./rangecoder";
import { Walk } from "./waves";

type GiveUp = (packet: number, error: FormatError) => void;

const walkOver = (header: Header, context: ContextModel, packets: Uint8Array): Walk =>
  new Walk(packets, mapHeight(header), mapWidth(header), context.offsets, context.size);

/** One payload per packet of an index map that fits header and model. */
export function encodeInContext(
  indices: Int32Array,
  header: Header,
  context: ContextModel,
  packets: Uint8Array,
): Uint8Array[] {
  const walk = walkOver(header, context, packets);
  const { network } = context;
  const neighbours = new Int32Array(context.offsets.length);
  const encoders = Array.from({ length: header.nPackets }, () => new RangeEncoder());
  // A neighbour is never of a later wave: all indices may stand there from the start.
  indices.forEach((index, position) => walk.put(position, index));
  for (const position of walk.positions) {
    walk.look(position, neighbours);
    network.predict(neighbours);
    network.look(indices[position]);
    encoders[packets[position]].put(network.left, network.size);
  }
  return encoders.map((encoder) => encoder.finish());
}

/**
 * Choose the index map of a file of one packet, position after position in the order of coding.
 *
 * @param choose gets a flat position and what each index's cell would have of 2^24 units, given
 *   all choices before; gives the index
 */
export function chooseInContext(
  header: Header,
  context: ContextModel,
  packets: Uint8Array,
  choose: (position: number, sizes: Float64Array) => number,
): Int32Array {
  const walk = walkOver(header, context, packets);
  const { network } = context;
  const neighbours = new Int32Array(context.offsets.length);
  const sizes = new Float64Array(context.size);
  const indices = new Int32Array(packets.length);
  for (const position of walk.positions) {
    walk.look(position, neighbours);
    network.predict(neighbours);
    network.sizes(sizes);
    indices[position] = choose(position, sizes);
    walk.put(position, indices[position]);
  }
  return indices;
}

/** The index map of payloads, -1 where a packet is lost; `giveUp` hears of those that are bad. */
export function decodeInContext(
  payloads: readonly (Uint8Array | undefined)[],
  header: Header,
  context: ContextModel,
  packets: Uint8Array,
  uncertain: ReadonlySet<number>,
  giveUp: GiveUp,
): Int32Array {
  const decoders: (RangeDecoder | undefined)[] = payloads.map(() => undefined);
  const bits = new Float64Array(payloads.length);
  const attempt = (packet: number, work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof FormatError)) {
        throw error;
      }
      decoders[packet] = undefined;
      giveUp(packet, error);
    }
  };
  payloads.forEach((payload, packet) => {
    if (payload) {
      attempt(packet, () => {
        decoders[packet] = new RangeDecoder(payload, numIndices(header, packet));
      });
    }
  });
  const walk = walkOver(header, context, packets);
  const { network } = context;
  const neighbours = new Int32Array(context.offsets.length);
  const indices = new Int32Array(packets.length).fill(LOST);
  const next = (position: number, decoder: RangeDecoder): void => {
    const index = network.find(decoder.unit());
    if (index < 0) {
      throw decoder.outOfRange();
    }
    decoder.take(network.left, network.size);
    bits[packets[position]] += 24 - Math.log2(network.size);
    walk.put(position, index);
    indices[position] = index;
  };
  for (const position of walk.positions) {
    const packet = packets[position];
    const decoder = decoders[packet];
    if (decoder) {
      // What is lost is not predicted: no other packet looks at it.
      walk.look(position, neighbours);
      network.predict(neighbours);
      attempt(packet, () => next(position, decoder));
    }
  }
  for (const packet of [...uncertain].sort((one, other) => one - other)) {
    if (decoders[packet]) {
      attempt(packet, () => {
        checkLength(payloads[packet]!.length, numIndices(header, packet), bits[packet]);
      });
    }
  }
  return indices.map((index, position) => (decoders[packets[position]] ? index : LOST));
}
