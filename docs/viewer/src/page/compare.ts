/**
 * Two pictures in one place with a border between them, moved by mouse, touch or keyboard.
 *
 * The range input holds the value and takes the keys; pointers act on the whole picture, so that
 * the border is where the finger is.
 */

import { byId } from "./dom";

export class Compare {
  readonly #view = byId("view", HTMLElement);
  readonly #border = byId("border", HTMLInputElement);
  readonly #parts = ["left", "left-tag", "right-tag", "handle", "border"].map((id) =>
    byId(id, HTMLElement),
  );

  constructor() {
    this.#border.addEventListener("input", () => this.#show());
    this.#view.addEventListener("pointerdown", (event) => {
      if (this.isOff || event.button !== 0) return;
      this.#view.setPointerCapture(event.pointerId);
      this.#border.focus({ preventScroll: true });
      event.preventDefault(); // no selection, no drag of the picture
      this.#follow(event);
    });
    this.#view.addEventListener("pointermove", (event) => {
      if (!this.isOff && this.#view.hasPointerCapture(event.pointerId)) this.#follow(event);
    });
    this.#show();
  }

  get isOff(): boolean {
    return !this.#view.classList.contains("compares");
  }

  /** Show or hide the left picture and the border; `leftName` is for the label. */
  set(isOn: boolean, leftName = ""): void {
    for (const part of this.#parts) part.hidden = !isOn;
    this.#view.classList.toggle("compares", isOn);
    byId("left-tag", HTMLElement).textContent = leftName;
    this.#border.setAttribute("aria-label", `Border between ${leftName} and vqcodec`);
    this.#show();
  }

  #follow(event: PointerEvent): void {
    const box = this.#view.getBoundingClientRect();
    this.#border.valueAsNumber = (100 * (event.clientX - box.left)) / box.width;
    this.#show(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * 100);
  }

  #show(at = this.#border.valueAsNumber): void {
    this.#view.style.setProperty("--at", `${at}%`);
    this.#border.setAttribute("aria-valuetext", `${Math.round(at)} % of the left picture`);
  }
}
