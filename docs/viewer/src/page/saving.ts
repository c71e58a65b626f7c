/** Files that the page gives back. */

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // some browsers read it later
}

/** A name with another suffix: photo.jpg to photo.vqc. */
export function renamed(name: string, suffix: string): string {
  return name.replace(/\.[^.]*$/, "") + suffix;
}
