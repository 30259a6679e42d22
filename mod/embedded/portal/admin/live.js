// Keeps a page up to date: fetches it anew every few seconds while it is looked at, and changes what differs, node by
// node. Focus, selection, open details, scroll position and half-filled forms stay as they are. Without this script
// the pages work as well; they are then as old as they are.
"use strict";
(() => {
  const INTERVAL = 5000;
  // A page that nobody touches asks no more, so that its session ends for want of use like any other.
  const UNTOUCHED = 3_600_000;
  const main = document.querySelector("main");
  const button = document.getElementById("live");
  const trouble = document.getElementById("trouble");
  const zone = document.getElementById("zone");

  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const near = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

  /** Writes times in the viewer's zone; the absolute one in UTC stays in the title. */
  function localize(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (time.dataset.local === undefined) {
        time.title = `${format.format(at)} (${time.title})`;
      } else {
        const today = at.toDateString() === new Date().toDateString();
        time.textContent = (today ? near : format).format(at);
      }
    }
  }

  /** Puts a button beside each snippet that copies it. */
  function addCopyButtons(root) {
    if (!navigator.clipboard) return;
    for (const snippet of root.querySelectorAll("pre[data-copy]")) {
      const copy = document.createElement("button");
      copy.type = "button";
      copy.className = "copy";
      copy.textContent = "Copy";
      snippet.after(copy);
    }
  }
  document.addEventListener("click", async ({ target }) => {
    if (!(target instanceof HTMLButtonElement) || target.className !== "copy") return;
    await navigator.clipboard.writeText(target.previousElementSibling.textContent);
    target.textContent = "Copied";
    setTimeout(() => target.textContent = "Copy", 2000);
  });

  const keyOf = (node) => node.nodeType === 1 ? node.dataset?.key : undefined;
  const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  function isSelected(node) {
    const selection = getSelection();
    return selection !== null && !selection.isCollapsed && selection.containsNode(node, true);
  }

  /** Whether somebody is at work in there: what they hold must not vanish under their hands. */
  function isInUse(node) {
    return node.nodeType === 1 && (node.contains(document.activeElement) || isSelected(node));
  }

  function morphAttributes(from, to) {
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) {
        from.removeAttribute(name);
      }
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
  }

  function morph(from, to) {
    if (from.nodeType !== 1) {
      if (from.data !== to.data && !isSelected(from)) from.data = to.data;
      return;
    }
    morphAttributes(from, to);
    if (from.nodeName === "SELECT" || from.nodeName === "TEXTAREA") return;
    let next = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      let found = next;
      while (found && !isSame(found, wanted)) found = found.nextSibling;
      if (!found) {
        from.insertBefore(document.importNode(wanted, true), next);
        continue;
      }
      if (found === next) next = next.nextSibling;
      // Everything before it is gone or comes later; moving a node would take its focus away, so others move.
      else if (isInUse(found)) {
        while (next !== found) {
          const gone = next;
          next = next.nextSibling;
          gone.remove();
        }
        next = found.nextSibling;
      } else from.insertBefore(found, next);
      morph(found, wanted);
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      if (gone.nodeType === 1 && gone.contains(document.activeElement)) main.focus({ preventScroll: true });
      gone.remove();
    }
  }

  function prepare(root) {
    localize(root);
    addCopyButtons(root);
  }

  let paused = false;
  let touched = performance.now();
  for (const event of ["pointerdown", "keydown", "wheel"]) {
    document.addEventListener(event, () => touched = performance.now(), { passive: true });
  }

  let timer;
  async function refresh() {
    clearTimeout(timer);
    if (paused || document.hidden || main.dataset.live === undefined) return;
    if (performance.now() - touched > UNTOUCHED) {
      paused = true;
      return showState();
    }
    try {
      const response = await fetch(location.href, { headers: { accept: "text/html" } });
      if (response.redirected || response.status === 403) return location.reload();
      if (!response.ok) throw new Error(String(response.status));
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      const wanted = fresh.querySelector("main");
      if (!wanted) throw new Error("no page");
      if (paused) return;
      prepare(wanted);
      // What was just done stays said, though only the first page says it.
      const notice = main.querySelector(":scope > .notice[role=status]");
      if (notice) wanted.prepend(document.importNode(notice, true));
      morph(main, wanted);
      document.title = fresh.title;
      trouble.textContent = "";
    } catch {
      trouble.textContent = "The portal doesn't answer; this page may be out of date.";
    }
    timer = setTimeout(refresh, INTERVAL);
  }

  function showState() {
    button.setAttribute("aria-pressed", String(!paused));
    button.textContent = paused ? "Paused" : "Live";
  }

  prepare(document);
  const { timeZone } = format.resolvedOptions();
  if (timeZone !== "UTC") zone.textContent = `Times are of ${timeZone}; point at one for UTC.`;
  // What was just done is said once, also when the page is loaded again.
  const here = new URL(location.href);
  if (here.searchParams.has("done")) {
    here.searchParams.delete("done");
    history.replaceState(null, "", here);
  }
  if (main.dataset.live !== undefined) {
    button.hidden = false;
    showState();
    button.addEventListener("click", () => {
      paused = !paused;
      showState();
      refresh();
    });
    document.addEventListener("visibilitychange", refresh);
    timer = setTimeout(refresh, INTERVAL);
  }
})();
