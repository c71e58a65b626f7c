/** The opened file: its picture, what was guessed of it, its facts, and the buttons to save it. */

import type { Decoded, Made } from "../protocol";
import { byId, context, paint } from "./dom";
import { renamed, save } from "./saving";
import { factRows } from "./words";

/** A row of facts beside those of the file. */
export type Row = readonly [name: string, value: string];

export class Stage {
  readonly #section = byId("stage", HTMLElement);
  readonly #title = byId("stage-title", HTMLElement);
  readonly #view = byId("view", HTMLElement);
  readonly #result = byId("result", HTMLCanvasElement);
  readonly #guess = byId("guess", HTMLCanvasElement);
  readonly #guessShown = byId("guess-shown", HTMLInputElement);
  #name = "";
  #file: Uint8Array<ArrayBuffer> = new Uint8Array();

  constructor() {
    this.#guessShown.addEventListener("change", () => {
      this.#guess.hidden = !this.#guessShown.checked;
    });
    byId("save-vqc", HTMLButtonElement).addEventListener("click", () => {
      const blob = new Blob([this.#file], { type: "application/octet-stream" });
      save(blob, renamed(this.#name, ".vqc"));
    });
    byId("save-png", HTMLButtonElement).addEventListener("click", () => {
      this.#result.toBlob((blob) => {
        if (blob !== null) save(blob, renamed(this.#name, ".png"));
      }, "image/png");
    });
  }

  /** Show a decoded file; `rows` go before the file's own facts. */
  show(name: string, file: Uint8Array<ArrayBuffer>, decoded: Decoded | Made, rows: readonly Row[]): void {
    const { picture, facts } = decoded;
    this.#name = name;
    this.#file = file;
    this.#title.textContent = name;
    this.frame(picture.width, picture.height);
    paint(this.#result, picture);
    this.#result.setAttribute("aria-label", `${name}, as vqcodec paints it`);
    const time = "encodeSeconds" in decoded ? decoded.encodeSeconds : undefined;
    const list = [...rows, ...factRows(facts, time)].flatMap(([term, value]) => [
      Object.assign(document.createElement("dt"), { textContent: term }),
      Object.assign(document.createElement("dd"), { textContent: value }),
    ]);
    byId("facts", HTMLElement).replaceChildren(...list);
    byId("guess-row", HTMLElement).hidden = facts.erased === null;
    this.#guessShown.checked = false;
    this.#guess.hidden = true;
    if (facts.erased !== null) this.#paintGuess(facts.erased, decoded);
    this.#section.hidden = false;
  }

  /** Give the view a picture's shape. */
  frame(width: number, height: number): void {
    this.#view.style.setProperty("--w", `${width}`);
    this.#view.style.setProperty("--h", `${height}`);
  }

  /** Bring it into sight, and the reader of the screen to it. */
  focus(): void {
    this.#section.focus({ preventScroll: true });
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#section.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
  }

  /** A square of colour wherever an index was lost. */
  #paintGuess(erased: Uint8Array, { picture, facts }: Decoded): void {
    const stride = Math.round((16 * Math.ceil(picture.width / facts.w)) / 16);
    this.#guess.width = picture.width;
    this.#guess.height = picture.height;
    const drawing = context(this.#guess);
    drawing.fillStyle = "#e8590c";
    for (let at = 0; at < erased.length; at++) {
      if (erased[at] === 0) continue;
      drawing.fillRect((at % facts.w) * stride, Math.floor(at / facts.w) * stride, stride, stride);
    }
  }
}
