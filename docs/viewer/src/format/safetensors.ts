/**
 * The tensors of a safetensors file: eight bytes with the header's length, a JSON header, data.
 *
 * The file comes from outside: every size and offset is checked before anything is made of it.
 */

import { PackError } from "./errors";

const MOST_HEADER_BYTES = 100_000_000;

/** Bits of an element; types that are not listed are refused. */
const BYTES_OF: Readonly<Record<string, number>> = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, U16: 2, I16: 2, F16: 2, BF16: 2 },
  ...{ U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8 },
};

/** A tensor as it stands in the file. */
export interface Tensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its elements by rows, least significant byte first: a view into the file. */
  readonly data: Uint8Array;
}

const isSize = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;

function fault(why: string): PackError {
  return new PackError(`model weights: ${why}; get the pack again`);
}

/**
 * Read a file's tensors by key.
 *
 * @throws PackError it is not such a file, or its tensors do not fill it exactly
 */
export function readSafetensors(file: Uint8Array): Map<string, Tensor> {
  if (file.length < 8) {
    throw fault(`${file.length} bytes are no safetensors file`);
  }
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  if (headerBytes > Math.min(MOST_HEADER_BYTES, file.length - 8)) {
    throw fault(`a header of ${headerBytes} bytes in a safetensors file of ${file.length}`);
  }
  const data = file.subarray(8 + headerBytes);
  const tensors = new Map<string, Tensor>();
  const spans: [number, number][] = [];
  for (const [key, entry] of Object.entries(readHeader(file.subarray(8, 8 + headerBytes)))) {
    if (key !== "__metadata__") {
      const { dtype, shape, span } = readEntry(key, entry, data.length);
      tensors.set(key, { dtype, shape, data: data.subarray(...span) });
      spans.push(span);
    }
  }
  // No byte may belong to two tensors, or to none.
  spans.sort(([one, a], [other, b]) => one - other || a - b);
  const end = spans.reduce((at, [begin, until]) => (begin === at ? until : NaN), 0);
  if (end !== data.length) {
    throw fault("the tensors do not fill the safetensors file");
  }
  return tensors;
}

function readHeader(bytes: Uint8Array): object {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw fault("the header of the safetensors file is no JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw fault("the header of the safetensors file is no object");
  }
  return header;
}

function readEntry(
  key: string,
  entry: unknown,
  room: number,
): { dtype: string; shape: number[]; span: [number, number] } {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(BYTES_OF, dtype)) {
    throw fault(`${key}: type ${String(dtype)} is unknown`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw fault(`${key}: its shape is no list of sizes`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw fault(`${key}: its place is no pair of offsets`);
  }
  const [begin, end] = offsets as [number, number];
  const size = (shape as number[]).reduce((product, side) => product * side, BYTES_OF[dtype]);
  // Products beyond 2^53 are rounded, but never to what fits the file.
  if (begin > end || end > room || end - begin !== size) {
    throw fault(`${key}: ${size} bytes from ${begin} to ${end} of ${room}`);
  }
  return { dtype, shape: shape as number[], span: [begin, end] };
}

/** What elements of each type that FORMAT.md names become. */
export interface Numbers {
  I8: Int8Array;
  U8: Uint8Array;
  U16: Uint16Array;
  I32: Int32Array;
  F16: Float32Array;
  F32: Float32Array;
}

/** Elements of a tensor as numbers, on machines of either byte order. */
export function toNumbers(tensor: Tensor): Numbers[keyof Numbers] {
  const { dtype, data } = tensor;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const n = data.length / BYTES_OF[dtype];
  switch (dtype) {
    case "I8":
      return new Int8Array(data);
    case "U8":
      return data.slice();
    case "U16":
      return new Uint16Array(n).map((_, i) => view.getUint16(2 * i, true));
    case "I32":
      return new Int32Array(n).map((_, i) => view.getInt32(4 * i, true));
    case "F16":
      return new Float32Array(n).map((_, i) => fromHalf(view.getUint16(2 * i, true)));
    case "F32":
      return new Float32Array(n).map((_, i) => view.getFloat32(4 * i, true));
    default:
      throw fault(`type ${dtype} is none of a pack's tables`);
  }
}

const POWERS = Float64Array.from(
  { length: 31 },
  (_, exponent) => 2 ** (Math.max(exponent, 1) - 25),
);

/** The value of a 16-bit float. */
function fromHalf(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) {
    return fraction ? NaN : bits & 0x8000 ? -Infinity : Infinity;
  }
  const size = (exponent ? 1024 + fraction : fraction) * POWERS[exponent];
  return bits & 0x8000 ? -size : size;
}
