/**
 * The service worker: page and model from a cache, and the headers that isolate the page.
 *
 * The page's own files are kept at once; the large ones when they are first asked for, or all of
 * them when the page says that it is done. Two caches by what is in them: a new page keeps the
 * model that it shares with the old one. The build writes `BUILD` above this.
 */

interface Part {
  readonly id: string;
  readonly files: readonly string[];
}

declare const self: ServiceWorkerGlobalScope & {
  readonly BUILD: { readonly page: Part; readonly model: Part };
};

const { page, model } = self.BUILD;
const PAGE = `vqcodec-page-${page.id}`;
const MODEL = `vqcodec-model-${model.id}`;
const INDEX = "index.html";
const UNUSUAL = /\.jspi\./; // the GPU's runtime: kept only where it is asked for

const address = (name: string): string => new URL(name, self.registration.scope).href;
const cacheOf = new Map([
  ...page.files.map((name) => [address(name), PAGE] as const),
  ...model.files.map((name) => [address(name), MODEL] as const),
]);

self.addEventListener("install", (event) => {
  // The first one serves at once; a later one waits until no page of the old build is open.
  if (self.registration.active === null) void self.skipWaiting();
  const requests = page.files.map((name) => new Request(address(name), { cache: "reload" }));
  event.waitUntil(caches.open(PAGE).then((cache) => cache.addAll(requests)));
});

self.addEventListener("activate", (event) => {
  const sweep = async (): Promise<void> => {
    for (const name of await caches.keys()) {
      if (/^vqcodec-(page|model)-/.test(name) && name !== PAGE && name !== MODEL) {
        await caches.delete(name);
      }
    }
    await self.clients.claim();
  };
  event.waitUntil(sweep());
});

self.addEventListener("message", (event) => {
  if (event.data === "claim") event.waitUntil(self.clients.claim());
  if (event.data === "keep all") event.waitUntil(keepAll());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.cache === "only-if-cached" && request.mode !== "same-origin") return;
  event.respondWith(answer(request, url).then(isolated));
});

async function answer(request: Request, url: URL): Promise<Response> {
  const scope = new URL(self.registration.scope);
  const isPage = request.mode === "navigate" && url.pathname === scope.pathname;
  const key = isPage ? address(INDEX) : url.origin + url.pathname;
  const name = cacheOf.get(key);
  if (name === undefined) return fetch(request);
  const cache = await caches.open(name);
  const kept = request.cache === "reload" ? undefined : await cache.match(key);
  if (kept !== undefined) return kept;
  const fresh = await fetch(request);
  if (fresh.status === 200 && fresh.type === "basic") {
    const copy = fresh.clone();
    cache.put(key, copy).catch(() => {}); // no room is no failure
  }
  return fresh;
}

/** The same answer, with the headers that let the page have threads. */
function isolated(response: Response): Response {
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  const body = status === 204 || status === 304 ? null : response.body;
  return new Response(body, { status, statusText, headers });
}

async function keepAll(): Promise<void> {
  const cache = await caches.open(MODEL);
  for (const name of model.files) {
    const key = address(name);
    if (UNUSUAL.test(name) || (await cache.match(key)) !== undefined) continue;
    await cache.add(key).catch(() => {});
  }
}

export {};
