"use strict";
// What analysers found of one conversation, live. The token comes from the page around (postMessage) or with the form
// that opened this page; it goes into a header, never into an address. All words are shown as text.

const place = location.pathname.replace(/\/$/, "");
const origin = document.body.dataset.origin;
const state = document.getElementById("state");
const board = document.getElementById("findings");
const NAMES = { intent: "Intent", reply: "Reply", label: "Label", link: "Link", note: "Note" };
let running = null;

function say(text, live) {
  state.textContent = text;
  state.className = live ? "live" : "";
}

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function copy(source, button) {
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  document.execCommand("copy");
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function shown(item) {
  const row = element("div", "item " + (item.kind in NAMES ? item.kind : "note"));
  row.append(element("span", "kind", NAMES[item.kind] || "Note"));
  const what = element("span", "what", item.text || item.name || item.title || "");
  row.append(what);
  if (item.kind === "intent" && item.confidence > 0) {
    const meter = document.createElement("meter");
    meter.max = 1;
    meter.value = item.confidence;
    meter.title = Math.round(item.confidence * 100) + " %";
    what.append(meter);
  }
  if (item.kind === "label" && item.score) what.append(" " + item.score);
  if (item.kind === "link" && /^https?:\/\//.test(item.url || "")) {
    const link = element("a", "", what.textContent || item.url);
    link.href = item.url;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    what.replaceChildren(link);
  }
  if (item.kind === "reply") {
    const button = element("button", "", "Copy");
    button.type = "button";
    button.addEventListener("click", () => copy(what, button));
    row.append(button);
  }
  return row;
}

function draw(messages) {
  const cards = messages.map((each) => {
    const card = element("article", "");
    if (each.text) card.append(element("p", "said", each.text));
    for (const item of each.items) card.append(shown(item));
    card.append(element("p", "by", each.analyser));
    return card;
  }).reverse();
  board.replaceChildren(...(cards.length ? cards : [element("p", "none", "Nothing was found yet.")]));
}

function event(name, data) {
  if (name === "findings") draw(JSON.parse(data));
  if (name === "end") {
    const closed = JSON.parse(data).reason === "closed";
    say(closed ? "The conversation is over." : "Waiting for a new token \u2026");
    if (!closed) ask();
    return true;
  }
  return false;
}

async function listen(token, signal) {
  const answer = await fetch(place + "/stream", {
    headers: { Authorization: "Bearer " + token }, cache: "no-store", credentials: "omit", signal,
  });
  if (answer.status === 503) {
    say("Too many of these pages are open.");
    return 1000 * (Number(answer.headers.get("Retry-After")) || 30);
  }
  if (!answer.ok) {
    say(answer.status === 404 ? "Nothing is known of this conversation yet." : "Waiting for a new token \u2026");
    if (answer.status !== 404) ask();
    return answer.status === 404 ? 10000 : 0;
  }
  say("Live", true);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return 2000;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part), data = /^data: (.*)$/m.exec(part);
      if (name && data && event(name[1], data[1])) return 0;
    }
  }
}

async function run(token) {
  if (running) running.abort();
  const mine = running = new AbortController();
  while (!mine.signal.aborted) {
    let pause = 2000;
    try {
      pause = await listen(token, mine.signal);
    } catch (error) {
      if (mine.signal.aborted) return;
      say("Not connected; trying again \u2026");
    }
    if (!pause) return;
    await new Promise((done) => setTimeout(done, pause));
  }
}

function ask() {
  if (parent !== window) parent.postMessage({ type: "omnibridge-assist-wants-token" }, origin);
}

addEventListener("message", (sent) => {
  if (sent.origin !== origin || !sent.data || sent.data.type !== "omnibridge-assist-token") return;
  if (typeof sent.data.token === "string") run(sent.data.token);
});

if (document.body.dataset.token) run(document.body.dataset.token);
else ask();
