// Tells the dev server of errors in this page: exceptions, rejected promises that nobody handles, and console.error. Added
// by the dev server to HTML pages, never in production. At their beginning, so that the page's own scripts are heard.
// Each error once per page, and only so many at a time. Nothing in here may throw or be told of itself.
(() => {
"use strict";
const MOST = 20; // in WINDOW
const WINDOW = 10_000; // ms
const KNOWN = 500;
const LIMIT = 5000; // ms, for the host to take one
const LONGEST = 4000; // of a text
const { fetch } = globalThis; // before the page replaces it
const { src, dataset } = document.currentScript;
const own = new URL("/__dev/", src).href;
const told = new Set();
let since = -WINDOW;
let left = 0;
let sending = Promise.resolve(); // in their order
let leftOut = 0;
let telling = false;

addEventListener("error", ({ message, filename, lineno, colno, error }) => {
  if (message?.startsWith("ResizeObserver loop")) return; // a notice that browsers send this way
  tell("error", () => [message, filename ? [filename, lineno, colno] : [], stackOf(error)]);
});

addEventListener("unhandledrejection", ({ reason }) => {
  tell("rejection", () => [`Uncaught (in promise) ${said(reason)}`, placeIn(stackOf(reason)), stackOf(reason)]);
});

const original = console.error;
console.error = function error(...values) {
  const here = new Error().stack;
  tell("console", () => {
    const stack = values.map(stackOf).find(Boolean) ?? callers(here);
    return [formatted(values), placeIn(stack), stack];
  });
  return original.apply(this, values);
};

function tell(kind, describe) {
  if (telling) return; // describing an error calls code of the page, such as toString, which may fail too
  const now = performance.now();
  if (now - since >= WINDOW) [since, left] = [now, MOST];
  if (left === 0) return void leftOut++;
  telling = true;
  try {
    const [message, [file, line, column], stack] = describe();
    if (!file?.startsWith(own)) send({ kind, message, file, line, column, stack });
  } catch {
    // It cannot be described.
  } finally {
    telling = false;
  }
}

function send({ kind, message, file, line, column, stack }) {
  const key = JSON.stringify([kind, message, file, line, column]);
  if (told.has(key)) return;
  left--;
  if (told.size === KNOWN) told.clear();
  told.add(key);
  const number = (text) => (text === undefined ? null : Number(text));
  const body = JSON.stringify({
    kind, path: location.pathname, message: cut(String(message)), file: file ? local(file) : null,
    line: number(line), column: number(column), stack: stack ? cut(local(stack)) : null,
    generation: number(dataset.generation), request: number(dataset.request), left_out: leftOut,
  });
  leftOut = 0;
  const headers = { "content-type": "application/json" };
  const post = () => fetch(`${own}errors`, { method: "POST", headers, body, keepalive: true, signal: AbortSignal.timeout(LIMIT) });
  sending = sending.then(post).catch(() => {});
}

// Half a character is no JSON.
function cut(text) {
  const short = text.slice(0, LONGEST);
  return short.toWellFormed?.() ?? short;
}

// Without this origin, and without the queries of addresses, which may hold secrets.
function local(text) {
  return text.replaceAll(`${location.origin}/`, "/").replace(/[?#][^\s()]+?(?=:\d+(:\d+)?\)?$|$)/gm, "");
}

function stackOf(value) {
  return typeof value?.stack === "string" ? value.stack : null;
}

// The part of a stack below this script.
function callers(stack) {
  const lines = stack.split("\n");
  return lines.slice(lines.findLastIndex((line) => line.includes(src)) + 1).join("\n");
}

// The innermost call with a place: `at f (URL:1:2)` or `f@URL:1:2`.
function placeIn(stack) {
  const [, file, line, column] = /(\w+:\/\/[^\s()]+?):(\d+):(\d+)\)?$/m.exec(stack ?? "") ?? [];
  return file ? [file, line, column] : [];
}

// As the console shows it: the first may have places for the others.
function formatted([first, ...others]) {
  const put = (place) => (others.length === 0 ? place : place === "%c" ? (others.shift(), "") : said(others.shift()));
  const start = typeof first === "string" ? first.replace(/%[sdifoOc]/g, put) : said(first);
  return [start, ...others.map(said)].join(" ");
}

function tooMuch() {
  throw new Error("it has too many parts");
}

function said(value) {
  if (typeof value === "object" && !(value instanceof Error)) {
    let room = 100; // it may be large
    try {
      return JSON.stringify(value, (_, part) => (room-- > 0 ? part : tooMuch()));
    } catch {
      return Array.isArray(value) ? `Array(${value.length})` : Object.prototype.toString.call(value);
    }
  }
  return String(value);
}
})();
