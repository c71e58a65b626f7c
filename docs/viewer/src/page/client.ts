/**
 * The page's end of the worker: jobs one by one, with progress, and an end to those that take too
 * long. A worker is ended by force, whatever it is at; the next job gets a new one.
 */

import type { Backend, JobName, Jobs, Progress, Reply, Request } from "../protocol";

const SILENCE_MS = 120_000;

/** The user, or a newer wish of theirs, ended the job. */
export class Cancelled extends Error {}

/** A failure in words for people; `kind` is the command line's class. */
export class Failure extends Error {
  constructor(
    readonly kind: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Options {
  /** Goes before jobs that are not. */
  readonly isUrgent?: boolean;
  readonly onProgress?: (progress: Progress) => void;
  /** Aborted before its turn, the job is left out. */
  readonly signal?: AbortSignal;
}

interface Task {
  readonly id: number;
  readonly request: Request;
  readonly options: Options;
  resolve(result: never): void;
  reject(error: Error): void;
}

export class Client {
  #worker: Worker | null = null;
  #waiting: Task[] = [];
  #running: Task | null = null;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #lastId = 0;

  constructor(private readonly backend: Backend | "auto") {}

  /** Have a job done; its buffers are copied. */
  run<K extends JobName>(job: K, input: Jobs[K]["in"], options: Options = {}): Promise<Jobs[K]["out"]> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const task: Task = { id, request: { id, job, input } as Request, options, resolve, reject };
      if (options.isUrgent) this.#waiting.unshift(task);
      else this.#waiting.push(task);
      this.#next();
    });
  }

  start(): Promise<Jobs["start"]["out"]> {
    return this.run("start", this.#startInput(), { isUrgent: true });
  }

  /** End the job that runs now. */
  cancel(): void {
    this.#end(new Cancelled("cancelled"));
  }

  #next(): void {
    if (this.#running !== null) return;
    const task = this.#waiting.shift();
    if (task === undefined) return;
    if (task.options.signal?.aborted) {
      task.reject(new Cancelled("no longer wanted"));
      this.#next();
      return;
    }
    this.#running = task;
    this.#worker ??= this.#newWorker();
    this.#listen();
    this.#worker.postMessage(task.request);
  }

  #newWorker(): Worker {
    const worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.#hear(data);
    worker.onerror = (event) => {
      const why = event.message || "it could not be loaded";
      this.#end(new Failure("BackendError", `the worker ended: ${why}. Load the page anew.`));
    };
    worker.postMessage({ id: 0, job: "start", input: this.#startInput() } satisfies Request);
    return worker;
  }

  #startInput(): Jobs["start"]["in"] {
    return { backend: this.backend, page: new URL(".", document.baseURI).href };
  }

  #hear(reply: Reply): void {
    const task = this.#running;
    if (task === null || reply.id !== task.id) return;
    if ("progress" in reply) {
      this.#listen();
      task.options.onProgress?.(reply.progress);
      return;
    }
    this.#done();
    if ("error" in reply) task.reject(new Failure(reply.error.kind, reply.error.message));
    else task.resolve(reply.result as never);
    this.#next();
  }

  #listen(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      const message = "nothing was heard of the networks for two minutes, so they were stopped. " +
        "Take a smaller picture, or 'vqcodec decode'.";
      this.#end(new Failure("BackendError", message));
    }, SILENCE_MS);
  }

  #end(error: Error): void {
    this.#worker?.terminate();
    this.#worker = null;
    const task = this.#running;
    this.#done();
    task?.reject(error);
    this.#next();
  }

  #done(): void {
    clearTimeout(this.#watch);
    this.#running = null;
  }
}
