// rustc's colours as elements: ESC [ numbers m. Bold is 1; 31 to 36 and 91 to 96 are colours; 38;5;N is one of 256.
// Shares one function scope with the scripts that show diagnostics and comes before them; depends on none of them.

function coloured(text) {
  const spans = [];
  let classes = new Set();
  for (const [i, part] of text.split(/\x1b\[([\d;]*)m/).entries()) {
    if (i % 2 === 0) {
      const span = document.createElement("span");
      span.textContent = part;
      span.className = [...classes].join(" ");
      spans.push(span);
      continue;
    }
    const codes = part.split(";").map(Number);
    for (let k = 0; k < codes.length; k++) {
      const code = codes[k];
      if (code === 0) classes = new Set();
      else if (code === 1) classes.add("bold");
      else if (code === 38) (classes.add(`c${codes[k + 2] % 8}`), (k += 2));
      else if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) classes.add(`c${code % 10}`);
    }
  }
  return spans;
}
