// Every tab of the dashboard: has the document of /__dev/status drawn, posts the actions and says what happens. Comes
// last of the files of dashboard.js, in the same function scope; those of the tabs say what they draw with `shows`.

const RELOADED = "__dev:reloaded"; // carries the scroll position over a reload of the page
let token = document.querySelector("meta[name=dev-token]").content;
let latest = null;
let lostAt = null; // when the stream broke off; null while it is connected

// The stream

subscribe("/__dev/status", (data) => receive(JSON.parse(data)), lose);

function receive(status) {
  const before = latest;
  if (before && before.host_boot !== status.host_boot && reloadPage()) return;
  latest = status;
  render(status);
  if (!before) arrive();
  else if (lostAt) say("reconnected");
  else if (summary(before) !== summary(status)) say(...phaseNews(status));
  lostAt = null;
  document.documentElement.classList.remove("lost");
}

function lose() {
  if (lostAt) return;
  lostAt = new Date();
  document.documentElement.classList.add("lost");
  put("link", "reconnecting…", "chip bad");
  if (latest) say(`reconnecting… this is the state at ${clock(lostAt)}`, "bad");
}

// The host was restarted: it has another token, and may serve another version of this script. A page that it cannot show
// again, such as a statement that is being typed, stays, and takes over the token alone.
function reloadPage() {
  if (document.querySelector("main[data-once]")) {
    takeToken();
    return false;
  }
  sessionStorage.setItem(RELOADED, scrollY);
  location.reload();
  return true;
}

async function takeToken() {
  try {
    const answer = await fetch("/__dev/settings");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    token = page.querySelector("meta[name=dev-token]").content;
    for (const field of document.querySelectorAll("input[name=token]")) field.value = token;
  } catch {
    // The answer to a form with the old one says what to do.
  }
}

function arrive() {
  const scroll = sessionStorage.getItem(RELOADED);
  sessionStorage.removeItem(RELOADED);
  if (scroll === null) return say(...phaseNews(latest));
  scrollTo(0, Number(scroll));
  say("the host restarted");
}

// Actions

async function act(button, name, body = "") {
  if (button.matches("[aria-busy=true], [aria-disabled=true]")) return;
  button.setAttribute("aria-busy", "true"); // not `disabled`, which would take the focus away
  try {
    const headers = { "x-dev-token": token, "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(`/__dev/actions/${name}`, { method: "POST", headers, body });
    const text = await answer.text();
    if (answer.status === 403 && text.startsWith("stale token") && reloadPage()) return;
    say(text, answer.ok ? "" : "bad");
  } catch {
    say(`${name}: no answer from the dev server`, "bad");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-action]");
  if (button) act(button, button.dataset.action, button.name && new URLSearchParams({ [button.name]: button.value }).toString());
});

// Shows what happened, also to screen readers: this is the only live region of the page.
function say(text, look = "") {
  put("news-at", clock(new Date()));
  put("news", text, look);
}

function summary({ phase, generation, health }) {
  return JSON.stringify([phase, generation, health.trouble?.what]);
}

function phaseNews({ phase, generation, health }) {
  if (isOutage(health.trouble)) return [`${health.trouble.what}. ${health.trouble.remedy}`, "bad"];
  const serving = generation ? `still serving generation ${generation}` : "nothing to serve yet";
  if (phase === "active") return [`generation ${generation} is live`];
  if (phase.endsWith("_failed")) return [`${words(phase)}: ${serving}`, "bad"];
  return [`${words(phase)}…`];
}

// Drawing

function render(status) {
  document.querySelector("main").hidden = false;
  const none = status.db.url === "none";
  for (const part of document.querySelectorAll("[data-database]")) part.hidden = none;
  for (const part of document.querySelectorAll("[data-no-database]")) part.hidden = !none;
  const [state, look] = stateOf(status);
  put("link", state, `chip ${look}`);
  put("host", `${status.address} · host ${status.version}, PID ${status.host_pid}`);
  for (const draw of drawings) draw(status);
}

// Whether something other than the app's code keeps it from answering.
function isOutage(trouble) {
  return ["starting", "database", "migration"].includes(trouble?.cause);
}
