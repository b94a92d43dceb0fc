// What the parts of the page draw with. Whatever comes from the server is written
// as text, never as markup.

// make makes an element with attributes and children.
export function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

// write gives an element its text, and leaves it alone if it has that.
export function write(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// writeFigure writes a number as people read it; value has it exactly.
export function writeFigure(e, value, text) {
  if (e.value === String(value)) return;
  e.value = value;
  write(e, text);
}

// mark sets or removes a class or attribute only where that changes something.
export function mark(e, name, value) {
  if (value === null) {
    if (e.hasAttribute(name)) e.removeAttribute(name);
  } else if (e.getAttribute(name) !== value) e.setAttribute(name, value);
}

// list makes the children of an element those of a list, in its order: by keyOf it
// finds again what it has made, so that what stays keeps its place and its focus.
export function list(parent, items, keyOf, create, update) {
  const had = parent.made ?? new Map();
  const has = new Map();
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (has.has(key)) continue;
    const child = had.get(key) ?? create(item);
    update(child, item);
    has.set(key, child);
    had.delete(key);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of had.values()) child.remove();
  parent.made = has;
}

// row makes a table's row with cells for headings, which a narrow screen shows
// beside each. The first one names the row. Where rows are drawn as cards a browser
// takes them for no table, so the roles are said.
export function row(headings) {
  const tr = make("tr", { role: "row" });
  headings.forEach(([label, kind], i) => {
    const cell = make(i === 0 ? "th" : "td", { "data-label": label, role: i === 0 ? "rowheader" : "cell" });
    if (i === 0) cell.scope = "row";
    if (kind) cell.className = kind;
    if (kind === "number") cell.append(make("data"));
    tr.append(cell);
  });
  return tr;
}

// say has a screen reader say something once.
export function say(text) {
  write(document.getElementById("said"), text);
}
