/** Every constant of the file format, version 1 (FORMAT.md); as `vqcodec/bitstream/layout.py`. */

/** First four bytes of a file. */
export const MAGIC = new Uint8Array([0xd6, 0x56, 0x51, 0x43]);

export const FORMAT_VERSION = 1;

/** Bytes that every packet of a file repeats: version to height. */
export const PREFIX_BYTES = 8;
export const CHECKSUM_BYTES = 3;

/** Bytes of a packet before its payload: prefix, packet index, checksum. */
export const PACKET_HEAD_BYTES = PREFIX_BYTES + 1 + CHECKSUM_BYTES;

/** Pixels per index along each axis, by id. */
export const STRIDES = [16, 8] as const;
export type Stride = (typeof STRIDES)[number];

export const MAX_SIDE = 65535;

/** Pixels that a decoder takes unless its user says otherwise. */
export const MAX_PIXELS = 2 ** 28;

export const LOWEST_TIER = 1;
export const HIGHEST_TIER = 12;

/** Coding modes, by id. */
export const CODINGS = ["fixed", "table", "context"] as const;
export type Coding = (typeof CODINGS)[number];

/** Rows and columns that travel together in coding mode "context". */
export const CONTEXT_BLOCK = [2, 4] as const;

/** Data and parity packets of a file that has parity packets: a codeword over GF(256). */
export const MAX_CODEWORD = 255;

/** Packet layout id -> number of packets P and row step s (FORMAT.md section 5). */
export const PACKET_LAYOUTS: readonly (readonly [number, number])[] = [
  ...([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [6, 2],
    [8, 3],
    [10, 3],
    [12, 3],
  ] as const),
  ...([
    [16, 4],
    [20, 8],
    [24, 5],
    [32, 7],
    [48, 7],
    [64, 28],
    [128, 12],
    [256, 30],
  ] as const),
];

/** Stands in an index map at the positions of packets that are lost. */
export const LOST = -1;
