// Light or dark, both languages or one: remembered in this browser, applied before the first paint.

(function () {
  const VALUES = { form: ["auto", "light", "dark"], words: ["both", "zh", "en"] };
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const kept = (name) => (VALUES[name].includes(localStorage.getItem(name)) ? localStorage.getItem(name) : VALUES[name][0]);

  function apply() {
    const form = kept("form");
    root.dataset.form = form === "auto" ? (dark.matches ? "dark" : "light") : form;
    root.dataset.words = kept("words");
    dispatchEvent(new Event("choice"));
  }

  root.dataset.scripts = "on";
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("click", (event) => {
    const name = event.target.closest?.("[data-choice]")?.dataset.choice;
    if (!name) return;
    const values = VALUES[name];
    localStorage.setItem(name, values[(values.indexOf(kept(name)) + 1) % values.length]);
    apply();
  });
})();
