extension PageReport {
    /// `{{{…}}}` only takes what this module has written and escaped itself.
    static let template = """
        {{% CONTENT_TYPE:CRLAB-HTML}}<!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="referrer" content="no-referrer">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
        script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
        <link rel="icon" href="data:,">
        <title>{{title}} – crlab</title>
        <style>{{{style}}}</style>
        </head>
        <body>
        <a class="skip" href="#map">Skip to the map</a>
        <header>
        <p class="kind">crlab report <span>{{run}}</span></p>
        <h1>{{title}}</h1>
        <div class="answer {{tone}}"><b aria-hidden="true">{{sign}}</b><p><strong>{{answer}}</strong> {{numbers}}</p></div>
        <div class="bar" role="img" aria-label="{{numbers}}">\
        {{#bars}}<span class="{{letter}}" style="flex-grow:{{count}}" title="{{what}}"></span>{{/bars}}</div>
        <dl class="facts">
        {{#facts}}
        <div><dt>{{name}}</dt><dd>{{value}}</dd></div>
        {{/facts}}
        </dl>
        <nav aria-label="Sections"><a href="#map">Map</a>{{#hasGroups}}<a href="#causes">Causes</a>{{/hasGroups}}\
        <a href="#hosts">Hosts</a><a href="#method">How to read this</a></nav>
        </header>
        <main>
        {{#hasControls}}
        <section class="warn"><h2>Controls that failed</h2><ul>
        {{#controls}}
        <li>{{.}}</li>
        {{/controls}}
        </ul></section>
        {{/hasControls}}
        {{#hasFlaky}}
        <section class="warn"><h2>Flaky</h2><p>They did not end alike when they were repeated.</p><ul>
        {{#flaky}}
        <li><code>{{id}}</code>: {{text}}</li>
        {{/flaky}}
        </ul></section>
        {{/hasFlaky}}
        {{#hasUnavailable}}
        <section class="warn"><h2>Hosts that could not be had</h2><ul>
        {{#unavailable}}
        <li><b>{{name}}</b>: {{why}} <code>{{reason}}</code></li>
        {{/unavailable}}
        </ul></section>
        {{/hasUnavailable}}
        <form id="filter" hidden role="search" aria-label="Filter cells">
        <div class="row">
        <label class="grow"><span>Search</span><input type="search" data-key="q" \
        placeholder="workload, host, reason…" autocomplete="off" spellcheck="false"></label>
        {{{lists}}}
        <button type="reset" class="plainbutton">Clear</button>
        </div>
        <div class="row">
        {{{chips}}}
        <p id="matches" role="status" aria-live="polite"></p>
        </div>
        </form>
        <section id="map"><h2>Map <small>rows: dumped on; columns: restored on</small></h2>
        <p class="legend"><span><b class="t r">✓</b> restored and verified</span>\
        <span><b class="t f">⊘</b> refused by the runtime</span>\
        <span><b class="t b">✗</b> broke after the runtime said yes</span>\
        <span><b class="t m">?</b> lab failure, says nothing</span>\
        <span><b class="t u">!</b> not as expected</span>\
        <span><b class="ring"></b> control: same host</span></p>
        {{{map}}}
        </section>
        {{#hasGroups}}
        <section id="causes"><h2>Causes</h2>
        {{{causes}}}
        </section>
        {{/hasGroups}}
        <section id="hosts"><h2>Hosts <small>as each one described itself</small></h2>
        {{{hosts}}}
        </section>
        <noscript>{{{fallback}}}</noscript>
        <section id="method"><h2>How to read this</h2>
        <p>Each cell of the map is one experiment: a workload was started and dumped on the source host (row), its image \
        was carried to the destination host (column) and restored there, and the workload then verified itself. The \
        diagonal holds the controls: a workload that does not survive its own host says nothing about another one. Two more \
        controls stand beside the cells: every runtime has to refuse an image that is cut in half on every destination \
        host, and where a restore failed the workload has to work there with neither dump nor restore.</p>
        <p>A finding is <em>proven</em> when an experiment with only that factor put back works, <em>supported</em> when \
        several independent pieces of evidence agree, <em>suspected</em> when one does. A lab failure is never an \
        incompatibility.</p>
        <p>To repeat one cell: <code>crlab repro {{run}} CELL</code>. To see all that is known of it: \
        <code>crlab show {{run}} CELL</code>. What a reason means: <code>crlab explain REASON</code>. The data of this page: \
        <code>results.json</code> beside it.</p>
        </section>
        </main>
        <aside id="panel" role="dialog" aria-labelledby="panel-title" hidden tabindex="-1"></aside>
        <script type="application/json" id="data">{{{data}}}</script>
        <script>{{{script}}}</script>
        </body>
        </html>

        """

    static let causesTemplate = """
        {{% CONTENT_TYPE:CRLAB-HTML}}{{#groups}}
        <article class="group" data-reason="{{reason}}">
        <h3><code>{{reason}}</code> <span class="tag">{{category}}</span> <i>{{total}}</i></h3>
        <p class="meaning">{{meaning}}</p>
        {{#clusters}}
        {{> cluster}}
        {{/clusters}}
        {{#more}}
        <details class="fold more"><summary>{{number}} more</summary>
        {{#folded}}
        {{> cluster}}
        {{/folded}}
        </details>
        {{/more}}
        {{#rest}}
        <p>{{.}}</p>
        {{/rest}}
        </article>
        {{/groups}}
        """

    static let clusterTemplate = """
        {{% CONTENT_TYPE:CRLAB-HTML}}<details class="cluster" id="f{{number}}">
        <summary><b class="count">{{count}}×</b><span class="what">{{summary}}\
        <span class="where">{{workloads}} · {{pairs}}</span></span>\
        {{#confidences}}<span class="tag {{sure}}" title="{{meaning}}">{{sure}}</span>{{/confidences}}\
        {{#state}}<span class="tag{{#alarm}} alarm{{/alarm}}">{{.}}</span>{{/state}}</summary>
        <div class="body">
        <p><b>Remedy.</b> {{remedy}}</p>
        {{#hasEvidence}}
        <h4>Evidence <small>of {{example}}</small></h4>
        <dl class="evidence">
        {{#evidence}}
        <dt>{{kind}}</dt><dd>{{text}}</dd>
        {{/evidence}}
        </dl>
        {{/hasEvidence}}
        <h4>Reproduce</h4><p><code class="command">{{reproduce}}</code></p>
        <h4>Cells</h4>
        <ul class="ids">
        {{#cells}}
        <li><a href="#c{{index}}" data-cell="{{index}}">{{id}}</a></li>
        {{/cells}}
        {{#cellsRest}}
        <li>{{.}}</li>
        {{/cellsRest}}
        </ul>
        </div>
        </details>

        """

    static let hostsTemplate = """
        {{% CONTENT_TYPE:CRLAB-HTML}}<div class="wide" role="region" aria-label="Hosts" tabindex="0"><table class="plain">
        <thead><tr><th scope="col">Host</th><th scope="col">CPU asked for</th><th scope="col">CPU it shows</th>\
        <th scope="col">XCR0</th><th scope="col">Kernel</th><th scope="col">Userland</th></tr></thead>
        <tbody>
        {{#hosts}}
        <tr><th scope="row">{{name}}</th><td>{{asked}}</td><td>{{really}}{{#unavailable}}\
        <br><b class="t b">not to be had: {{.}}</b>{{/unavailable}}</td><td class="mono">{{xcr0}}</td>\
        <td class="mono">{{kernel}}</td><td>{{userland}}</td></tr>
        {{/hosts}}
        </tbody></table></div>
        {{#differ}}
        <details class="fold" open><summary>Where they differ <small>{{featureCount}} CPU features, \
        {{probeCount}} kernel probes</small></summary>
        <div class="wide" role="region" aria-label="Differences between hosts" tabindex="0"><table class="plain diff">
        <thead><tr><td></td>{{#names}}<th scope="col">{{.}}</th>{{/names}}</tr></thead>
        <tbody>
        {{#hasFeatures}}
        <tr class="sub"><th colspan="{{columns}}" scope="colgroup">CPU features</th></tr>
        {{#features}}
        <tr><th scope="row">{{row}}</th>{{#values}}<td class="{{#has}}yes{{/has}}{{^has}}no{{/has}}">{{is}}</td>\
        {{/values}}</tr>
        {{/features}}
        {{/hasFeatures}}
        {{#hasProbes}}
        <tr class="sub"><th colspan="{{columns}}" scope="colgroup">Kernel probes</th></tr>
        {{#probes}}
        <tr><th scope="row">{{row}}</th>{{#values}}<td class="{{#has}}yes{{/has}}{{^has}}no{{/has}}">{{is}}</td>\
        {{/values}}</tr>
        {{/probes}}
        {{/hasProbes}}
        </tbody></table></div>
        </details>
        {{/differ}}
        <p>{{common}}</p>
        {{#hosts}}
        <details class="fold"><summary>{{name}} <small>{{asked}}, {{askedKernel}}, {{askedUserland}}</small></summary>
        <dl class="evidence">
        {{#details}}
        <dt>{{fact}}</dt><dd>{{value}}</dd>
        {{/details}}
        </dl>
        </details>
        {{/hosts}}
        """
}
