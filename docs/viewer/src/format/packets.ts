/**
 * One packet: the `Header` that all packets of a file repeat, its index, checksum and payload.
 *
 * FORMAT.md sections 3 to 5. Every packet can be decoded when all other bytes of the file are lost.
 */

import { crc32 } from "./checksums";
import { FormatError, LimitError, TruncatedError, VersionError } from "./errors";
import {
  CODINGS,
  CONTEXT_BLOCK,
  FORMAT_VERSION,
  HIGHEST_TIER,
  LOWEST_TIER,
  MAX_SIDE,
  PACKET_HEAD_BYTES,
  PACKET_LAYOUTS,
  PREFIX_BYTES,
  STRIDES,
} from "./layout";
import type { Coding, Stride } from "./layout";

/** What every packet of a file says. */
export interface Header {
  /** 1 to 12. */
  readonly tier: number;
  readonly coding: Coding;
  /** Data packets of the file, one of the counts in `PACKET_LAYOUTS`. */
  readonly nPackets: number;
  /** First two bytes of the model pack's digest, most significant first. */
  readonly weightsId: number;
  /** Of the image in pixels, 1 to 65535. */
  readonly width: number;
  readonly height: number;
  /** Pixels per index along each axis. */
  readonly stride: Stride;
}

/** One packet as it stands in a file. */
export interface Packet {
  /** Its number, parity packets after data packets; not yet checked against the header. */
  readonly index: number;
  /** Of its first byte in the file. */
  readonly offset: number;
  /** What the coder wrote, or parity: a view into the file. */
  readonly payload: Uint8Array;
  readonly storedChecksum: number;
  /** Of its bytes as they are. */
  readonly checksum: number;
}

const layoutOf = (nPackets: number): number =>
  PACKET_LAYOUTS.findIndex(([count]) => count === nPackets);

/** Codewords of a tier's codebook. */
export const codebookSize = (tier: number): number => 2 ** (tier + 2);

/** Rows of the index map. */
export const mapHeight = (header: Header): number => Math.ceil(header.height / header.stride);

/** Columns of the index map. */
export const mapWidth = (header: Header): number => Math.ceil(header.width / header.stride);

/** Step s of the dealing rule. */
export const rowStep = (header: Header): number => PACKET_LAYOUTS[layoutOf(header.nPackets)][1];

/** Rows and columns of the index map that travel together. */
export const blockOf = (header: Header): readonly [number, number] =>
  header.coding === "context" ? CONTEXT_BLOCK : [1, 1];

export const isIntact = (packet: Packet): boolean => packet.checksum === packet.storedChecksum;

/** Refuse, as a caller's mistake, fields that the format cannot carry (RangeError). */
export function checkHeader(header: Header): void {
  const { tier, coding, nPackets, weightsId, width, height, stride } = header;
  const isWhole = (value: number, low: number, high: number): boolean =>
    Number.isInteger(value) && low <= value && value <= high;
  if (!isWhole(tier, LOWEST_TIER, HIGHEST_TIER)) {
    throw new RangeError(`tier ${tier} is not one of ${LOWEST_TIER} to ${HIGHEST_TIER}`);
  }
  if (!CODINGS.includes(coding)) {
    throw new RangeError(`coding '${coding}' is not one of ${CODINGS.join(", ")}`);
  }
  if (layoutOf(nPackets) < 0) {
    const counts = PACKET_LAYOUTS.map(([count]) => count).join(", ");
    throw new RangeError(`${nPackets} packets: the format has ${counts}`);
  }
  if (!isWhole(weightsId, 0, 0xffff)) {
    throw new RangeError(`weights id ${weightsId} does not fit 16 bits`);
  }
  if (!isWhole(width, 1, MAX_SIDE) || !isWhole(height, 1, MAX_SIDE)) {
    throw new RangeError(`size ${width}x${height} is not within 1 to ${MAX_SIDE}`);
  }
  if (!STRIDES.includes(stride)) {
    throw new RangeError(`stride ${stride} is not one of ${STRIDES.join(", ")}`);
  }
}

/** Of `length` lines, count those whose block has each number modulo P. */
function alike(length: number, block: number, nPackets: number): number[] {
  const rest = length % (block * nPackets);
  const periods = (length - rest) / (block * nPackets);
  return Array.from(
    { length: nPackets },
    (_, turn) => periods * block + Math.min(Math.max(rest - turn * block, 0), block),
  );
}

/** Count the positions of the index map that travel in data packet `index`. */
export function numIndices(header: Header, index: number): number {
  const [rows, columns] = blockOf(header);
  const { nPackets } = header;
  const step = rowStep(header);
  const byColumn = alike(mapWidth(header), columns, nPackets);
  const byRow = alike(mapHeight(header), rows, nPackets);
  return byRow.reduce((sum, count, turn) => {
    const column = (index - step * turn) % nPackets;
    return sum + count * byColumn[column < 0 ? column + nPackets : column];
  }, 0);
}

/** Refuse, with a LimitError, a picture that is larger than its user takes. */
export function checkPixels(header: Header, maxPixels: number): void {
  const { width, height } = header;
  if (width * height > maxPixels) {
    const limit = maxPixels.toLocaleString("en-US");
    throw new LimitError(
      `${width}x${height} is more than ${limit} pixels; ` +
        "raise the limit with --max-pixels if you trust the file",
      { expected: maxPixels, found: width * height },
    );
  }
}

/** Refuse, with a FormatError, a file of another stride than its model pack's. */
export function checkStride(header: Header, stride: number, pack: string): void {
  if (header.stride !== stride) {
    throw new FormatError(
      `the file has stride ${header.stride}, model pack '${pack}' of its weights id has ` +
        `${stride}; get the file again, or give its own pack with --model`,
      { field: "stride", expected: stride, found: header.stride },
    );
  }
}

/** The prefix, 8 bytes. */
export function writePrefix(header: Header): Uint8Array {
  checkHeader(header);
  const { tier, coding, weightsId, width, height, stride } = header;
  const layout = layoutOf(header.nPackets);
  const modes = (STRIDES.indexOf(stride) << 7) | (CODINGS.indexOf(coding) << 4) | layout;
  const words = [weightsId, width, height].flatMap((value) => [value >> 8, value & 255]);
  return new Uint8Array([(FORMAT_VERSION << 4) | tier, modes, ...words]);
}

/**
 * Read a prefix.
 *
 * @param prefix up to 8 bytes
 * @param offset where they stand in the file, for messages
 * @throws TruncatedError fewer than 8 bytes are left
 * @throws VersionError another format version, or a coding of a later one
 * @throws FormatError a reserved tier, or a width or height of 0
 */
export function parsePrefix(prefix: Uint8Array, offset: number): Header {
  if (prefix.length < PREFIX_BYTES) {
    const end = offset + prefix.length;
    throw new TruncatedError(`the file ends at byte ${end}, inside its header; get it again`, {
      offset: end,
    });
  }
  const version = prefix[0] >> 4;
  const tier = prefix[0] & 15;
  const codingId = (prefix[1] >> 4) & 7;
  const [weightsId, width, height] = [2, 4, 6].map((at) => (prefix[at] << 8) | prefix[at + 1]);
  if (version !== FORMAT_VERSION) {
    throw new VersionError(
      `format version ${version} at byte ${offset}: this program reads version ` +
        `${FORMAT_VERSION}; update vqcodec, or get the file again if it should be readable`,
      { offset, field: "version", expected: FORMAT_VERSION, found: version },
    );
  }
  if (tier < LOWEST_TIER || tier > HIGHEST_TIER) {
    throw new FormatError(
      `tier ${tier} at byte ${offset} is reserved; update vqcodec, or get the file again`,
      { offset, field: "tier", found: tier },
    );
  }
  if (codingId >= CODINGS.length) {
    throw new VersionError(
      `coding mode ${codingId} at byte ${offset + 1} is unknown to this program; ` +
        "update vqcodec, or get the file again",
      { offset: offset + 1, field: "coding", found: codingId },
    );
  }
  if (width === 0 || height === 0) {
    throw new FormatError(
      `size ${width}x${height} at byte ${offset + 4} is not an image's; get the file again`,
      { offset: offset + 4, field: width === 0 ? "width" : "height", found: 0 },
    );
  }
  return {
    tier,
    coding: CODINGS[codingId],
    nPackets: PACKET_LAYOUTS[prefix[1] & 15][0],
    weightsId,
    width,
    height,
    stride: STRIDES[prefix[1] >> 7],
  };
}

/** The low 24 bits of CRC-32 over prefix, index and payload. */
export function checksumOf(prefix: Uint8Array, index: number, payload: Uint8Array): number {
  return crc32(payload, crc32(new Uint8Array([index]), crc32(prefix))) & 0xffffff;
}

/** One packet: prefix, index, checksum, payload. */
export function writePacket(header: Header, index: number, payload: Uint8Array): Uint8Array {
  const packet = new Uint8Array(PACKET_HEAD_BYTES + payload.length);
  const prefix = writePrefix(header);
  const check = checksumOf(prefix, index, payload);
  packet.set(prefix);
  packet.set([index, check >> 16, (check >> 8) & 255, check & 255], PREFIX_BYTES);
  packet.set(payload, PACKET_HEAD_BYTES);
  return packet;
}

/** The checksum that a packet stores, whose payload begins at `body`. */
export const storedChecksum = (data: Uint8Array, body: number): number =>
  (data[body - 3] << 16) | (data[body - 2] << 8) | data[body - 1];

/**
 * Read one packet that takes all of `data`, which begins at byte `offset` of the file.
 *
 * @throws TruncatedError fewer bytes than a packet's head
 */
export function parsePacket(data: Uint8Array, offset: number): Packet {
  if (data.length < PACKET_HEAD_BYTES) {
    const end = offset + data.length;
    throw new TruncatedError(`the file ends at byte ${end}, inside a packet's head; get it again`, {
      offset: end,
    });
  }
  const index = data[PREFIX_BYTES];
  const payload = data.subarray(PACKET_HEAD_BYTES);
  const checksum = checksumOf(data.subarray(0, PREFIX_BYTES), index, payload);
  const stored = storedChecksum(data, PACKET_HEAD_BYTES);
  return { index, offset, payload, storedChecksum: stored, checksum };
}
