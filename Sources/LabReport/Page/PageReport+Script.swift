extension PageReport {
    /// Text of a run only ever reaches the page as `textContent`.
    static let script = #"""

        (function () {
        "use strict";
        var data = JSON.parse(document.getElementById("data").textContent);
        var S = data.strings, cells = data.cells, panel = document.getElementById("panel");
        var form = document.getElementById("filter"), matches = document.getElementById("matches");
        var RUNTIME = 0, WORKLOAD = 1, SPEC = 2, SOURCE = 3, DESTINATION = 4, OUTCOME = 5, STAGE = 6, HEALTH = 7, EXPECTED = 8,
            FINDING = 9, EXPECTATION = 10, ATTEMPTS = 11, TIMES = 12, BYTES = 16, CONSOLE = 17, REPRODUCE = 18, LABEL = 19, REPEATED = 20;
        var outcomes = [["r", "✓", "restored", "The workload was restored and verified itself."],
            ["f", "⊘", "refused", "The runtime said no."],
            ["b", "✗", "broke", "The runtime said yes, then the workload died, hung or was wrong."],
            ["m", "?", "lab failure", "The lab failed: this says nothing about compatibility."]];
        var stages = ["dump", "restore", "verify"], current = -1, opener = null;

        function id(c) {
            var parts = [S[c[RUNTIME]], S[c[WORKLOAD]], S[c[SOURCE]], S[c[DESTINATION]]];
            if (S[c[SPEC]] !== "default") parts.push(S[c[SPEC]]);
            return parts.join("/");
        }
        function reason(c) { return c[FINDING] < 0 ? "" : S[data.findings[c[FINDING]][1]]; }
        function link(i) { return document.getElementById("c" + i); }
        function make(tag, attributes, children) {
            var node = document.createElement(tag);
            for (var name in attributes || {}) node.setAttribute(name, attributes[name]);
            (Array.isArray(children) ? children : children == null ? [] : [children]).forEach(function (child) {
                node.append(child);
            });
            return node;
        }
        function milliseconds(n) { return n < 1000 ? n + " ms" : (n / 1000).toFixed(1) + " s"; }
        function size(n) {
            var units = ["B", "KiB", "MiB", "GiB"], u = 0;
            while (n >= 1024 && u < 3) { n /= 1024; u++; }
            return (u ? n.toFixed(1) : n) + " " + units[u];
        }

        // State lives in the address, so that a link shows what was meant: #w=bash&o=b,f&cell=native/bash/a/b
        function readState() {
            var state = {};
            if (location.hash.indexOf("=") < 0) return state;
            new URLSearchParams(location.hash.slice(1)).forEach(function (value, key) { state[key] = value; });
            return state;
        }
        function writeState(state) {
            var query = new URLSearchParams();
            Object.keys(state).forEach(function (key) { if (state[key]) query.set(key, state[key]); });
            var text = query.toString().replace(/%2F/g, "/").replace(/%2C/g, ",");
            history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
        }
        function filterState() {
            var state = {};
            form.querySelectorAll("input,select").forEach(function (field) {
                if (field.value) state[field.dataset.key] = field.value;
            });
            form.querySelectorAll(".chip[aria-pressed=true]").forEach(function (chip) {
                var key = chip.dataset.key;
                state[key] = state[key] ? state[key] + "," + chip.dataset.value : chip.dataset.value;
            });
            return state;
        }
        function showFilter(state) {
            form.querySelectorAll("input,select").forEach(function (field) { field.value = state[field.dataset.key] || ""; });
            form.querySelectorAll(".chip").forEach(function (chip) {
                var on = (state[chip.dataset.key] || "").split(",").indexOf(chip.dataset.value) >= 0;
                chip.setAttribute("aria-pressed", on);
            });
        }
        function changed() {
            var state = filterState();
            if (current >= 0) state.cell = id(cells[current]);
            writeState(state);
            apply(filterState());
        }

        function apply(state) {
            var active = Object.keys(state).some(function (key) { return key !== "cell" && state[key]; });
            if (active || narrowed) narrow(state, active);
            narrowed = active;
            if (!active) {
                matches.textContent = cells.length + (cells.length === 1 ? " cell" : " cells")
                    + "; choose one to see its stages, cause and evidence";
            }
        }
        var narrowed = false;
        function narrow(state, active) {
            var words = (state.q || "").toLowerCase().split(/\s+/).filter(Boolean);
            var wanted = (state.o || "").split(",").filter(Boolean), count = 0, on = new Uint8Array(cells.length);
            cells.forEach(function (c, i) {
                var yes = (!wanted.length || wanted.indexOf(outcomes[c[OUTCOME]][0]) >= 0)
                    && (!state.x || c[EXPECTED] === 0)
                    && (!state.w || S[c[WORKLOAD]] === state.w)
                    && (!state.rt || S[c[RUNTIME]] === state.rt)
                    && (!state.h || S[c[SOURCE]] === state.h || S[c[DESTINATION]] === state.h)
                    && (!state.r || reason(c) === state.r);
                if (yes && words.length) {
                    var text = (id(c) + " " + reason(c) + " " + outcomes[c[OUTCOME]][2]).toLowerCase();
                    yes = words.every(function (word) { return text.indexOf(word) >= 0; });
                }
                if (yes) { on[i] = 1; count++; }
            });
            document.querySelectorAll(".card").forEach(function (card) {
                var any = false;
                card.querySelectorAll("tbody a").forEach(function (a) {
                    var yes = on[+a.id.slice(1)] === 1;
                    any = any || yes;
                    a.parentNode.classList.toggle("off", !yes);
                });
                card.hidden = !any;
            });
            document.querySelectorAll(".part").forEach(function (part) {
                part.hidden = !part.querySelector(".card:not([hidden])");
            });
            document.querySelectorAll(".group").forEach(function (group) {
                group.querySelectorAll(".cluster").forEach(function (cluster) {
                    cluster.hidden = active && !clusterCells(cluster).some(function (i) { return on[i]; });
                });
                var fold = group.querySelector(".more");
                if (fold) {
                    fold.hidden = !fold.querySelector(".cluster:not([hidden])");
                    if (active) fold.open = true;
                }
                group.hidden = !group.querySelector(".cluster:not([hidden])");
            });
            matches.textContent = count + " of " + cells.length
                + (cells.length === 1 ? " cell matches" : " cells match");
        }
        var members = null;
        function clusterCells(cluster) {
            if (!members) {
                members = {};
                document.querySelectorAll(".map tbody a").forEach(function (a) {
                    var target = a.getAttribute("href").slice(1);
                    (members[target] = members[target] || []).push(+a.id.slice(1));
                });
            }
            return members[cluster.id] || [];
        }

        function section(title, children) { panel.append(make("h3", {}, title)); panel.append.apply(panel, children); }
        function evidenceList(rows) {
            var list = make("dl", { class: "evidence" });
            rows.forEach(function (row) { list.append(make("dt", {}, row[0]), make("dd", {}, row[1])); });
            return list;
        }
        function button(text, label, action, enabled) {
            var node = make("button", { type: "button", "aria-label": label, title: label }, text);
            node.disabled = enabled === false;
            node.addEventListener("click", action);
            return node;
        }
        function copyRow(text) {
            var code = make("code", { class: "command" }, text), done = button("Copy", "Copy the command", function () {
                function said(ok) { done.textContent = ok ? "Copied" : "Select and copy"; }
                function byHand() {
                    var range = document.createRange();
                    range.selectNodeContents(code);
                    var selection = getSelection();
                    selection.removeAllRanges();
                    selection.addRange(range);
                    said(document.execCommand("copy"));
                }
                if (navigator.clipboard) navigator.clipboard.writeText(text).then(function () { said(true); }, byHand);
                else byHand();
            });
            return make("div", { class: "copyrow" }, [code, done]);
        }

        function timeline(c) {
            var names = ["dump", "carry", "restore", "verify"], box = make("div", { class: "time" });
            var total = 0, before = 0;
            for (var i = 0; i < 4; i++) total += c[TIMES + i];
            names.forEach(function (name, i) {
                var spent = c[TIMES + i], failed = c[STAGE] >= 0 && stages[c[STAGE]] === name;
                var bar = make("span", {});
                bar.style.left = total ? before / total * 100 + "%" : 0;
                bar.style.width = total ? spent / total * 100 + "%" : 0;
                box.append(make("div", failed ? { class: "bad" } : {}, name + (failed ? " ✗" : "")),
                    make("div", { class: "track", "aria-hidden": "true" }, spent ? bar : null),
                    make("div", { class: "ms" }, spent ? milliseconds(spent) : failed ? "failed" : "–"));
                before += spent;
            });
            return box;
        }

        function differences(c, mentioned) {
            var from = data.hosts[S[c[SOURCE]]], to = data.hosts[S[c[DESTINATION]]], rows = [];
            if (!from || !to || c[SOURCE] === c[DESTINATION]) return null;
            var have = S[from[0]].split(" "), there = new Set(S[to[0]].split(" ")), here = new Set(have);
            function features(title, names) {
                if (!names.length) return;
                var box = make("p", { class: "features" }, title + " ");
                names.sort(function (a, b) { return mentioned(b) - mentioned(a) || (a < b ? -1 : 1); });
                names.forEach(function (name) { box.append(make("code", mentioned(name) ? { class: "hit" } : {}, name)); });
                rows.push(box);
            }
            features("It lacks", have.filter(function (name) { return name && !there.has(name); }));
            features("It adds", S[to[0]].split(" ").filter(function (name) { return name && !here.has(name); }));
            var list = [["XCR0", 3], ["Kernel", 1], ["Userland", 2]].filter(function (row) {
                return from[row[1]] !== to[row[1]];
            }).map(function (row) { return [row[0], S[from[row[1]]] + " → " + S[to[row[1]]]]; });
            if (list.length) rows.push(evidenceList(list));
            return rows.length ? rows : [make("p", {}, "In nothing that their fingerprints show.")];
        }

        function open(i, focus) {
            var c = cells[i], o = outcomes[c[OUTCOME]], at = c[STAGE] >= 0 ? " at " + stages[c[STAGE]] : "";
            if (current >= 0 && link(current)) link(current).classList.remove("on");
            current = i;
            if (link(i)) link(i).classList.add("on");
            panel.textContent = "";
            panel.append(make("div", { class: "tools" }, [make("span", {}, "Cell " + (i + 1) + " of " + cells.length),
                button("‹", "Previous cell", function () { go(-1); }, i > 0),
                button("›", "Next cell", function () { go(1); }, i + 1 < cells.length),
                button("Close", "Close (Esc)", close)]));
            panel.append(make("h2", { id: "panel-title" }, S[c[WORKLOAD]] + ": " + S[c[SOURCE]] + " → " + S[c[DESTINATION]]),
                make("p", { class: "idline" }, id(c)),
                make("p", {}, [make("span", { class: "badge " + o[0] }, o[1] + " " + o[2] + at), " ", o[3]]));
            if (c[SOURCE] === c[DESTINATION]) panel.append(make("p", {}, "This is the control: dumped and restored on the same host."));
            if (c[HEALTH] === 1) panel.append(make("p", {}, "A runtime or one of the workload's own tools crashed."));
            if (c[EXPECTATION] >= 0) {
                var e = data.expectations[c[EXPECTATION]];
                var wanted = S[e[0]] + (e[1] >= 0 ? " (" + S[e[1]] + ")" : "") + (e[3] >= 0 ? ", until " + S[e[3]] : "");
                panel.append(make("p", {}, [c[EXPECTED] === 0 ? make("span", { class: "tag alarm" }, "! not as expected")
                    : make("span", { class: "tag" }, c[EXPECTED] === 1 ? "as expected" : "not found out"),
                    " Expected: " + wanted + ", because: " + S[e[2]]]));
            }
            if (c[LABEL] >= 0) panel.append(make("p", {}, "Planted fault: " + S[c[LABEL]]));
            var f = c[FINDING] >= 0 ? data.findings[c[FINDING]] : null;
            if (f) {
                section("Cause", [make("p", {}, [make("code", {}, S[f[1]]), " ", make("span", { class: "tag" }, S[f[0]]), " ",
                    make("span", { class: "tag " + S[f[2]], title: S[f[3]] }, S[f[2]] + ": " + S[f[3]])]),
                    make("p", {}, make("strong", {}, S[f[4]])), make("p", {}, [make("b", {}, "Remedy. "), S[f[5]]])]);
            }
            section("Stages", [timeline(c), make("p", { class: "sum" }, (c[BYTES] ? "Image " + size(c[BYTES]) + ". " : "")
                + c[ATTEMPTS] + (c[ATTEMPTS] === 1 ? " attempt." : " attempts.")
                + (c[REPEATED] >= 0 ? " Repeated: " + S[c[REPEATED]] + "." : ""))]);
            if (f) {
                section("Evidence", [f[6] === null ? make("p", {}, "Left out to keep this page small; crlab show "
                    + data.run + " " + id(c) + " prints it.")
                    : f[6].length ? evidenceList(f[6].map(function (row) { return [S[row[0]], S[row[1]]]; }))
                    : make("p", {}, "None recorded.")]);
            }
            var text = f ? " " + (S[f[4]] + " " + (f[6] || []).filter(function (row) { return S[row[0]] !== "cpu-difference"; })
                .map(function (row) { return S[row[1]]; }).join(" ")).toLowerCase().replace(/[^a-z0-9_]+/g, " ") + " " : "";
            var rows = differences(c, function (name) { return text.indexOf(" " + name.toLowerCase() + " ") >= 0; });
            if (rows) section("The destination host differs", rows);
            if (c[CONSOLE] >= 0) section("Console", [make("pre", { tabindex: "0" }, S[c[CONSOLE]])]);
            if (c[CONSOLE] === -2) section("Console", [make("p", {}, "Left out to keep this page small; results.json has it.")]);
            section("Reproduce", [copyRow(c[REPRODUCE] >= 0 ? S[c[REPRODUCE]] : "crlab repro " + data.run + " " + id(c))]);
            panel.hidden = false;
            panel.scrollTop = 0;
            if (focus) panel.focus({ preventScroll: true });
            var state = filterState();
            state.cell = id(c);
            writeState(state);
        }
        function go(step) {
            var i = current + step;
            while (cells[i] && link(i) && link(i).parentNode.classList.contains("off")) i += step;
            if (cells[i]) open(i, true);
        }
        function close() {
            var back = link(current) || opener;
            if (link(current)) link(current).classList.remove("on");
            current = -1;
            panel.hidden = true;
            panel.textContent = "";
            writeState(filterState());
            if (back) back.focus({ preventScroll: true });
        }

        document.addEventListener("click", function (event) {
            var a = event.target.closest && event.target.closest(".map tbody a, a[data-cell]");
            if (!a || event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            opener = a;
            open(a.dataset.cell === undefined ? +a.id.slice(1) : +a.dataset.cell, true);
        });
        document.addEventListener("mouseover", function (event) {
            var a = event.target.closest && event.target.closest(".map tbody a");
            if (!a || a.title) return;
            var c = cells[+a.id.slice(1)];
            a.title = S[c[SOURCE]] + " → " + S[c[DESTINATION]] + ": " + outcomes[c[OUTCOME]][2]
                + (reason(c) ? " (" + reason(c) + ")" : "") + (c[EXPECTED] === 0 ? ", not as expected" : "");
        });
        // One stop of the Tab key for each table, from the moment it is entered; arrow keys move inside it. Preparing all
        // tables at once would cost a large page half its time to load.
        var stops = new Map();
        function enter(a) {
            var table = a.closest(".map"), stop = stops.get(table);
            if (stop === a) return;
            if (stop) stop.tabIndex = -1;
            else table.querySelectorAll("tbody a").forEach(function (other) { other.tabIndex = -1; });
            a.tabIndex = 0;
            stops.set(table, a);
        }
        document.addEventListener("focusin", function (event) {
            if (event.target.matches && event.target.matches(".map tbody a")) enter(event.target);
        });
        document.addEventListener("keydown", function (event) {
            if (event.key === "Escape" && current >= 0) { close(); return; }
            var a = document.activeElement;
            if (!a || !a.matches || !a.matches(".map tbody a")) return;
            enter(a);
            var cell = a.parentNode, row = cell.parentNode, next = null;
            if (event.key === "ArrowRight") next = cell.nextElementSibling;
            else if (event.key === "ArrowLeft") next = cell.previousElementSibling;
            else if (event.key === "ArrowDown") next = row.nextElementSibling && row.nextElementSibling.cells[cell.cellIndex];
            else if (event.key === "ArrowUp") next = row.previousElementSibling && row.previousElementSibling.cells[cell.cellIndex];
            else return;
            event.preventDefault();
            var target = next && next.querySelector("a");
            if (!target) return;
            enter(target);
            target.focus();
        });
        addEventListener("beforeprint", function () {
            document.querySelectorAll("details.cluster, details.more").forEach(function (d) { d.open = true; });
        });

        form.hidden = false;
        form.addEventListener("submit", function (event) { event.preventDefault(); });
        form.addEventListener("input", changed);
        form.addEventListener("reset", function (event) { event.preventDefault(); showFilter({}); changed(); });
        form.addEventListener("click", function (event) {
            var chip = event.target.closest(".chip");
            if (!chip) return;
            chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") !== "true");
            changed();
        });
        function fromAddress() {
            var state = readState(), target = location.hash.match(/^#c(\d+)$/), cluster = location.hash.match(/^#f\d+$/);
            if (cluster) {
                var details = document.getElementById(location.hash.slice(1));
                if (details) {
                    for (var node = details; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
                    details.scrollIntoView();
                }
            }
            showFilter(state);
            apply(state);
            var i = target ? +target[1] : state.cell ? cells.findIndex(function (c) { return id(c) === state.cell; }) : -1;
            if (cells[i]) open(i, false);
        }
        addEventListener("hashchange", fromAddress);
        fromAddress();
        })();

        """#
}
