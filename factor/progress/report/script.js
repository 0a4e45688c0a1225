// The page is complete without this: it shows large pictures in place, and copies commands.
(() => {
  const viewer = document.getElementById("viewer");
  let strip = [], at = 0;
  const make = (name, text) => Object.assign(document.createElement(name), text ? {textContent: text} : {});
  const bar = make("div"), title = make("span"), image = make("img");
  const [back, on, close] = ["‹ previous", "next ›", "close"].map((text) => make("button", text));
  bar.className = "bar";
  bar.append(back, title, on, close);
  viewer.append(bar, image);
  const show = (step) => {
    at = (at + step + strip.length) % strip.length;
    image.src = strip[at].href;
    image.alt = title.textContent = `${strip[at].textContent} (${at + 1} of ${strip.length})`;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.picture");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    strip = [...link.parentElement.querySelectorAll("a.picture")];
    at = strip.indexOf(link);
    show(0);
    viewer.showModal();
  });
  back.onclick = () => show(-1);
  on.onclick = () => show(1);
  close.onclick = () => viewer.close();
  viewer.onclick = (event) => event.target === viewer && viewer.close();
  viewer.onkeydown = (event) => {
    if (event.key === "ArrowLeft") show(-1);
    if (event.key === "ArrowRight") show(1);
  };
  if (navigator.clipboard) for (const box of document.querySelectorAll("pre.command")) {
    const text = box.textContent, button = make("button", "copy");
    button.className = "copy";
    button.onclick = () => navigator.clipboard.writeText(text).then(() => { button.textContent = "copied"; });
    box.previousElementSibling.append(" ", button);
  }
})();
