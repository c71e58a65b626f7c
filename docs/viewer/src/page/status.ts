/** What the page is at, what went wrong: live regions, and the button that ends a job. */

import type { Progress } from "../protocol";
import { byId } from "./dom";
import { STAGES, amount } from "./words";

const AFTER_MS = 250; // shorter work needs no word

export class Status {
  readonly #box = byId("status", HTMLElement);
  readonly #said = byId("said", HTMLElement);
  readonly #amount = byId("amount", HTMLElement);
  readonly #done = byId("done", HTMLProgressElement);
  readonly #error = byId("error", HTMLElement);
  #since = 0;

  constructor(onCancel: () => void) {
    byId("cancel", HTMLButtonElement).addEventListener("click", onCancel);
  }

  /** Show how far a job is. */
  progress = (progress: Progress): void => {
    this.#since ||= performance.now();
    if (progress.stage !== "loading" && performance.now() - this.#since < AFTER_MS) return;
    this.#box.hidden = false;
    // Of these, only the stage is read out to those who listen.
    const stage = STAGES[progress.stage];
    if (this.#said.textContent !== stage) this.#said.textContent = stage;
    this.#amount.textContent = amount(progress);
    if (progress.total > 1) this.#done.value = progress.done / progress.total;
    else this.#done.removeAttribute("value");
  };

  /** The job is over. */
  rest(): void {
    this.#since = 0;
    this.#box.hidden = true;
    this.#said.textContent = "";
  }

  fail(place: string, message: string): void {
    this.#error.hidden = false; // first: only what is there is read out when it changes
    this.#error.textContent = place ? `${place}: ${message}` : message;
    this.#error.scrollIntoView({ block: "nearest" });
  }

  clear(): void {
    this.#error.hidden = true;
    this.#error.textContent = "";
  }
}
