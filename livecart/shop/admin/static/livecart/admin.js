"use strict";
// Small helps of our own pages; everything but previews and the live view works without it.
(function () {
    document.addEventListener("change", function (event) {
        if (event.target.matches("[data-lc-go]")) window.location = event.target.value;
    });

    // Tables that scroll sideways can be scrolled by the keyboard too.
    document.querySelectorAll(".table-responsive").forEach((table) => { table.tabIndex = 0; });

    async function fetched(url) {
        const answer = await fetch(url, { headers: { "X-Requested-With": "fetch" } });
        // Signed out meanwhile: the page that asks for the token came instead.
        if (answer.redirected) window.location.reload();
        if (!answer.ok) throw new Error(String(answer.status));
        return answer.text();
    }

    async function look(body) {
        const said = document.createElement("p");
        said.className = "text-secondary mt-2 mb-0";
        said.setAttribute("role", "status");
        said.textContent = body.dataset.lcLoading;
        body.append(said);
        try {
            body.innerHTML = await fetched(body.dataset.lcPreview);
        } catch {
            said.textContent = body.dataset.lcFailed;
        }
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest("[data-lc-look]");
        if (button) look(button.closest(".lc-photo").querySelector("[data-lc-preview]"));
    });
    document.querySelectorAll("[data-lc-now]").forEach(look);

    document.addEventListener("submit", function (event) {
        if (event.target.matches("[data-lc-wait]")) {
            event.target.querySelectorAll("button").forEach((button) => { button.disabled = true; });
        }
    });

    // The library's tag inputs do not say what they are for.
    // jQuery calls this after those of the library that were there before.
    window.jQuery(function () {
        document.querySelectorAll("label[for]").forEach(function (label) {
            const field = document.getElementById(label.htmlFor);
            const shown = field && field.nextElementSibling;
            if (!shown || !shown.classList.contains("select2")) return;
            shown.querySelectorAll("[role=combobox], input, textarea").forEach(function (part) {
                part.setAttribute("aria-label", label.textContent.trim());
            });
        });
    });

    const live = document.querySelector("[data-lc-refresh]");
    if (live) {
        window.setInterval(async function () {
            // What is being typed must not vanish.
            if (document.hidden || live.contains(document.activeElement)) return;
            try {
                live.innerHTML = await fetched(live.dataset.lcRefresh);
            } catch { /* the next time */ }
        }, 2000);
    }
})();
