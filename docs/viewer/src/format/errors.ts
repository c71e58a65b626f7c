/**
 * The exception tree, as `vqcodec/errors.py` has it: a class per kind of failure.
 *
 * What files and packs can cause is a `VqcError`; a programmer's bad argument is a `RangeError`.
 * `message` is the command line's sentence; `kind` the class's name, which minifying keeps.
 */

export type ErrorKind =
  | "VqcError"
  | "FormatError"
  | "NotVqcError"
  | "VersionError"
  | "TruncatedError"
  | "ChecksumError"
  | "LimitError"
  | "ModelError"
  | "ModelNotFoundError"
  | "ModelMismatchError"
  | "PackError";

/** Fields for programs: `offset`, `field`, `expected`, `found`. */
export type Details = Readonly<Record<string, string | number>>;

export class VqcError extends Error {
  readonly kind: ErrorKind = "VqcError";
  readonly details: Details;

  constructor(message: string, details: Details = {}) {
    super(message);
    this.details = details;
  }

  override get name(): string {
    return this.kind;
  }
}

/** The bytes of a `.vqc` file are wrong. */
export class FormatError extends VqcError {
  override readonly kind: ErrorKind = "FormatError";
}

/** The magic is missing: this is no `.vqc` file. */
export class NotVqcError extends FormatError {
  override readonly kind: ErrorKind = "NotVqcError";
}

/** The file was written in a format version that this program does not know. */
export class VersionError extends FormatError {
  override readonly kind: ErrorKind = "VersionError";
}

/** The file ends before it should. */
export class TruncatedError extends FormatError {
  override readonly kind: ErrorKind = "TruncatedError";
}

/** A packet's checksum does not match its bytes. */
export class ChecksumError extends FormatError {
  override readonly kind: ErrorKind = "ChecksumError";
}

/** The file asks for more than the limits allow. */
export class LimitError extends FormatError {
  override readonly kind: ErrorKind = "LimitError";
}

/** A model pack is missing, wrong or broken. */
export class ModelError extends VqcError {
  override readonly kind: ErrorKind = "ModelError";
}

/** No pack of that id is at hand. */
export class ModelNotFoundError extends ModelError {
  override readonly kind: ErrorKind = "ModelNotFoundError";
}

/** The pack at hand is not the one that the file was made with. */
export class ModelMismatchError extends ModelError {
  override readonly kind: ErrorKind = "ModelMismatchError";
}

/** A pack's weights are broken. */
export class PackError extends ModelError {
  override readonly kind: ErrorKind = "PackError";
}
