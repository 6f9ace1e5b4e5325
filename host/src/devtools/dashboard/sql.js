// The SQL console: Ctrl-Enter runs the statement, and the last ones are kept in this browser.

const STATEMENTS = "__dev:statements";
const MOST_STATEMENTS = 30;

if (get("sql")) {
  const field = get("sql");
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    field.form.requestSubmit();
  });
  field.form.addEventListener("submit", () => keepStatement(field.value));
  showStatements(field);
}

// Storage may be refused or hold something else.
function statements() {
  try {
    return JSON.parse(localStorage.getItem(STATEMENTS) ?? "[]").map(String);
  } catch {
    return [];
  }
}

function keepStatement(text) {
  if (!text.trim()) return;
  const kept = [text, ...statements().filter((each) => each !== text)].slice(0, MOST_STATEMENTS);
  try {
    localStorage.setItem(STATEMENTS, JSON.stringify(kept));
  } catch {
    // Full or refused: running it matters more.
  }
}

function showStatements(field) {
  const kept = statements();
  get("statements").hidden = kept.length === 0;
  get("statements").querySelector("ul").replaceChildren(...kept.map((text) => {
    const button = element("button", shorten(text));
    button.type = "button";
    button.addEventListener("click", () => {
      field.value = text;
      field.focus();
    });
    const item = element("li");
    item.append(button);
    return item;
  }));
}
