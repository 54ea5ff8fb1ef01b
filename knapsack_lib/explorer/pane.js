// Shows HTML that Python has made (every text of an episode is escaped there) and reports clicks and keys.
const KEYS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", "Enter"];

export default {
  render({ model, el }) {
    el.classList.add("ks", "ks-pane");
    el.tabIndex = 0;
    el.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the keys to us while the pane has the focus
    el.setAttribute("aria-label", model.get("label"));
    const show = () => { el.innerHTML = model.get("html"); };
    model.on("change:html", show);
    show();
    const report = (event) => {
      const at = event.target.closest("[data-place],[data-order]");
      if (at && el.contains(at)) {
        model.send({ ...at.dataset });
        el.focus({ preventScroll: true });
        return true;
      }
      return false;
    };
    el.addEventListener("click", report);
    el.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !KEYS.includes(event.key)) return;
      if (event.target.closest("summary") && event.key === "Enter") return; // opens what is folded away
      event.preventDefault();
      if (event.key !== "Enter" || !report(event)) model.send({ key: event.key });
    });
  },
};
