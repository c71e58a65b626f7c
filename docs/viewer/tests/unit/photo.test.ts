import { expect, test } from "vitest";

import { isPhoto } from "../../src/page/photo";
import { renamed } from "../../src/page/saving";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

test.each(["\x89PNG\r\n", "\xff\xd8\xff\xe0", "GIF89a", "BM6", "RIFF\0\0\0\0WEBPVP8 ", "\0\0\0\x1cftypavif", "\0\0\0\x18ftypheic"])(
  "%j begins a photo",
  (head) => expect(isPhoto("", "", bytes(head))).toBe(true),
);

test("everything else is a file, whole or not", () => {
  expect(isPhoto("a", "image/x-odd", bytes("odd"))).toBe(true);
  expect(isPhoto("a.jpg", "image/jpeg", bytes("\xd6VQC\x18"))).toBe(false); // a wrong name changes nothing
  expect(isPhoto("", "", bytes("\x18\x20\xf1"))).toBe(false);
  expect(isPhoto("a.VQC", "", bytes("\x89PNG\r\n"))).toBe(false);
  expect(isPhoto("a.txt", "text/plain", bytes("hello"))).toBe(false);
  expect(isPhoto("", "", bytes(""))).toBe(false);
});

test("names keep all but their suffix", () => {
  expect(renamed("a.b.jpg", ".vqc")).toBe("a.b.vqc");
  expect(renamed("photo", ".png")).toBe("photo.png");
});
