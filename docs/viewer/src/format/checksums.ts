/** CRC-32 of IEEE 802.3, as zlib and PNG have it. */

const TABLE = new Int32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) {
    value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return value;
});

/** The CRC of `data`, going on from that of the bytes before it; an unsigned 32-bit number. */
export function crc32(data: Uint8Array, before = 0): number {
  let value = ~before;
  for (let at = 0; at < data.length; at++) {
    value = TABLE[(value ^ data[at]) & 255] ^ (value >>> 8);
  }
  return ~value >>> 0;
}
