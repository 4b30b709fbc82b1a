// names for what pydata-sphinx-theme shows as a mere arrow
for (const summary of document.querySelectorAll("summary")) {
  if (summary.querySelector(".toctree-toggle") && !summary.textContent.trim()) {
    const link = summary.closest("li")?.querySelector("a");
    summary.setAttribute("aria-label", `Pages below ${link ? link.textContent.trim() : "this one"}`);
  }
}
