/**
 * An index map to one payload per packet, and back: dealing, then coding.
 *
 * FORMAT.md sections 5 to 7A.
 */

import { chooseInContext, decodeInContext, encodeInContext } from "./contextual";
import { FormatError } from "./errors";
import { decodeFixed, encodeFixed } from "./fixedlength";
import { cellsOf, idealBits } from "./frequencies";
import { LOST } from "./layout";
import { checkLength } from "./lengths";
import { checkHeader, codebookSize, mapHeight, mapWidth } from "./packets";
import type { Header } from "./packets";
import { decodeTable, encodeTable } from "./rangecoder";
import { packetMap, packetPositions } from "./scan";
import type { TierTables } from "./tables";

export type OnBad = (index: number, error: FormatError) => void;

export interface DecodeOptions {
  /**
   * Called with packet index and error for a payload that no encoder writes, whose packet then
   * counts as lost; left out, the error is thrown.
   */
  readonly onBad?: OnBad;
  /**
   * Packets of which only the checksum tells where they end: their payloads are bad, too, if they
   * are much longer or shorter than their indices should take. No meaning in fixed coding.
   */
  readonly uncertain?: ReadonlySet<number>;
}

/**
 * Code an index map in the header's coding mode.
 *
 * @param indices (h, w) values in [0, K), of the header's map size
 * @param tables of the header's tier
 * @returns one payload per packet, by packet index
 * @throws RangeError map, header and tables do not belong together
 */
export function encodeIndexMap(
  indices: Int32Array,
  header: Header,
  tables: TierTables,
): Uint8Array[] {
  checkHeader(header);
  checkTables(header, tables);
  const size = tables.codebookSize;
  if (indices.length !== mapHeight(header) * mapWidth(header)) {
    throw new RangeError(`${indices.length} indices do not fit the header's picture`);
  }
  if (indices.some((index) => index < 0 || index >= size)) {
    throw new RangeError(`indices must lie in 0 to ${size - 1}`);
  }
  const packets = packetMap(header);
  if (header.coding === "context") {
    return encodeInContext(indices, header, tables.context!, packets);
  }
  const left = header.coding === "table" ? cellsOf(tables.frequencies) : undefined;
  return packetPositions(packets, header.nPackets).map((positions) => {
    const mine = positions.map((position) => indices[position]);
    return left ? encodeTable(mine, left) : encodeFixed(mine, size);
  });
}

/**
 * Choose an index map by what its indices cost in coding mode "context".
 *
 * @param header of the file to be written: one packet, coding "context"
 * @param tables of the header's tier
 * @param choose gets a flat position and what each index's cell would have of 2^24 units, given
 *   all choices before; gives the index
 * @returns (h, w) as chosen
 * @throws RangeError header and tables do not belong together, or there are several packets
 */
export function chooseIndexMap(
  header: Header,
  tables: TierTables,
  choose: (position: number, sizes: Float64Array) => number,
): Int32Array {
  checkHeader(header);
  checkTables(header, tables);
  if (header.nPackets !== 1 || header.coding !== "context") {
    throw new RangeError("choosing needs one packet and coding 'context'");
  }
  return chooseInContext(header, tables.context!, packetMap(header), choose);
}

/**
 * Decode the payloads of a file, as far as they are there.
 *
 * @param payloads one per packet, by packet index; undefined where the packet is lost
 * @param tables of the header's tier
 * @returns (h, w) values in [0, K), and -1 at the positions of lost packets
 * @throws FormatError a payload is not one that an encoder writes, and there is no `onBad`
 */
export function decodeIndexMap(
  payloads: readonly (Uint8Array | undefined)[],
  header: Header,
  tables: TierTables,
  options: DecodeOptions = {},
): Int32Array {
  checkTables(header, tables);
  if (payloads.length !== header.nPackets) {
    throw new RangeError(`${payloads.length} payloads for ${header.nPackets} packets`);
  }
  const { onBad, uncertain = new Set() } = options;
  const giveUp: OnBad = (index, error) => {
    const told = inPacket(index, error);
    if (!onBad) {
      throw told;
    }
    onBad(index, told);
  };
  const packets = packetMap(header);
  if (header.coding === "context") {
    return decodeInContext(payloads, header, tables.context!, packets, uncertain, giveUp);
  }
  const { frequencies } = tables;
  const left = header.coding === "table" ? cellsOf(frequencies) : undefined;
  const flat = new Int32Array(packets.length).fill(LOST);
  packetPositions(packets, header.nPackets).forEach((positions, index) => {
    const payload = payloads[index];
    if (!payload) {
      return;
    }
    const n = positions.length;
    try {
      const mine = left
        ? decodeTable(payload, n, left)
        : decodeFixed(payload, n, frequencies.length);
      if (left && uncertain.has(index)) {
        checkLength(payload.length, n, idealBits(mine, frequencies));
      }
      positions.forEach((position, k) => (flat[position] = mine[k]));
    } catch (error) {
      if (!(error instanceof FormatError)) {
        throw error;
      }
      giveUp(index, error);
    }
  });
  return flat;
}

/** The error, told with its packet. */
function inPacket(index: number, error: FormatError): FormatError {
  const Kind = error.constructor as typeof FormatError;
  return new Kind(`packet ${index}: ${error.message}; get the file again`, error.details);
}

function checkTables(header: Header, tables: TierTables): void {
  const size = codebookSize(header.tier);
  const { context } = tables;
  if (tables.codebookSize !== size || (context && context.size !== size)) {
    throw new RangeError(`tables of ${tables.codebookSize} words for tier ${header.tier}`);
  }
  if (header.coding === "context" && !context) {
    throw new RangeError(`tier ${header.tier} has no context model`);
  }
}
