// Stylesheets and images of the page that are loaded again in place when their files are saved.
//
// Matched by file name: where the app serves a file from is its own affair. A file that no element of the page names
// (a bundle, an import, a template) is not matched, and the page is rendered again.

const successors = new WeakMap(); // of a stylesheet, until they have arrived

// Loads again what shows these files. Returns whether each of them is shown by something.
function reloadFiles(names) {
  return names.map((name) => reloadAll([...stylesheets(document), ...images()], (element) => fileOf(element) === name)).every(Boolean);
}

function reloadStylesheets() {
  reloadAll(stylesheets(document), () => true);
}

function reloadAll(elements, wanted) {
  const found = elements.filter(wanted);
  for (const element of found) reloadElement(element);
  return found.length > 0;
}

// A query makes it another address: the browser may keep the old file in memory as long as it likes.
function reloadElement(element) {
  const url = new URL(addressOf(element));
  url.searchParams.set("__dev", Date.now());
  if (element.localName !== "link") return (element.src = url.href);
  if (element.disabled) return (element.href = url.href); // it is not loaded before it is enabled
  successors.get(element)?.remove();
  // The old one stays until the new one has arrived, so that the page is never without its style.
  const next = element.cloneNode();
  next.href = url.href;
  next.onload = () => element.remove();
  next.onerror = () => next.remove();
  successors.set(element, next);
  element.after(next);
}

// Gives the stylesheets of another document the addresses that they have here, so that none is loaded twice.
function keepAddresses(other) {
  const known = new Map(stylesheets(document).map((link) => [bare(addressOf(link)), link.getAttribute("href")]));
  for (const link of stylesheets(other)) {
    const address = known.get(bare(addressOf(link)));
    if (address !== undefined) link.setAttribute("href", address);
  }
}

// With `integrity` only what the page itself names is loaded.
function stylesheets(of) {
  return [...of.querySelectorAll("link[rel~=stylesheet][href]:not([integrity])")].filter(isOwn);
}

// Where several files are offered the browser has chosen one; only a new page makes it choose again.
function images() {
  return [...document.querySelectorAll("img[src]:not([srcset])")].filter((image) => !image.closest("picture") && isOwn(image));
}

function isOwn(element) {
  return URL.canParse(addressOf(element)) && new URL(addressOf(element)).origin === location.origin;
}

function addressOf(element) {
  return element.localName === "link" ? element.href : element.src;
}

function bare(url) {
  const without = new URL(url);
  without.searchParams.delete("__dev");
  return without.href;
}

function fileOf(element) {
  const name = new URL(addressOf(element)).pathname.split("/").pop();
  try {
    return decodeURIComponent(name);
  } catch {
    return name; // a % on its own
  }
}
