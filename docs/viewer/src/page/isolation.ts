/**
 * The service worker: it makes the page work offline, and adds the headers that isolate it on hosts
 * that do not send them. For those the page is loaded once more, at most once in a row.
 */

const RELOADED = "vqcodec-reloaded";
const PATIENCE_MS = 6000;

let isAsked = false;

/** Get the service worker going; resolves when the page may go on, with or without it. */
export async function isolate(): Promise<void> {
  if (crossOriginIsolated) remember(false);
  const isLocal = new URLSearchParams(location.search).has("local"); // `vqcodec view`: of one visit
  if (isLocal || import.meta.env.DEV || !("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("./sw.js");
    await controlled();
  } catch {
    return; // private windows, plain http: without threads, and online
  }
  const isControlled = navigator.serviceWorker.controller !== null;
  if (!crossOriginIsolated && isControlled && !wasReloaded() && remember(true)) {
    location.reload();
    await new Promise(() => {});
  }
}

/** Have the service worker keep what was not needed yet, so that all of it works offline. */
export function keepAll(): void {
  if (isAsked) return;
  isAsked = true;
  navigator.serviceWorker?.controller?.postMessage("keep all");
}

function controlled(): Promise<void> {
  const { serviceWorker } = navigator;
  if (serviceWorker.controller !== null) return Promise.resolve();
  return new Promise((resolve) => {
    serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
    setTimeout(resolve, PATIENCE_MS);
    void serviceWorker.ready.then((registration) => registration.active?.postMessage("claim"));
  });
}

function wasReloaded(): boolean {
  try {
    return sessionStorage.getItem(RELOADED) !== null;
  } catch {
    return true;
  }
}

/** Whether it could be remembered; what cannot must not be done. */
function remember(isReloaded: boolean): boolean {
  try {
    if (isReloaded) sessionStorage.setItem(RELOADED, "1");
    else sessionStorage.removeItem(RELOADED);
    return true;
  } catch {
    return false;
  }
}
