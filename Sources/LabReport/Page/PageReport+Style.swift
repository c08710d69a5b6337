extension PageReport {
    static let style = #"""

        :root{color-scheme:light dark;--bg:#fafaf8;--surface:#fff;--ink:#1a1c1f;--soft:#5d6168;--line:#e2e2dc;--faint:#f1f1ec;
        --link:#1a56a8;--r:#1f6b38;--rb:#e4f1e6;--f:#7c4a00;--fb:#fbe8bf;--b:#a5170b;--bb:#fad5cf;--m:#544688;--mb:#e5e1f2;
        --u:#c01408;--bf:#d99a1c;--bbr:#cf3d2e;--bm:#8777c9;--shadow:0 8px 40px #0003;--mono:ui-monospace,SFMono-Regular,"Cascadia Mono","DejaVu Sans Mono",Menlo,monospace}
        @media (prefers-color-scheme:dark){:root{--bg:#121315;--surface:#1a1c1f;--ink:#e8e8e5;--soft:#9b9fa6;--line:#2e3136;
        --faint:#222529;--link:#84b4f5;--r:#82cf98;--rb:#17301f;--f:#edbd55;--fb:#3b2d0c;--b:#ff9d8f;--bb:#4b1c17;--m:#bdb2f2;
        --mb:#2b2742;--u:#ff6f5e;--bf:#c9952a;--bbr:#e2594a;--bm:#8a7cd0;--shadow:0 8px 40px #000a}}
        *{box-sizing:border-box}
        html{scroll-padding-top:5.5rem;-webkit-text-size-adjust:100%}
        body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
        "Noto Sans","DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
        header,main{max-width:1240px;margin:0 auto;padding:0 24px}
        header{padding-top:28px}
        a{color:var(--link);text-underline-offset:2px}
        code,.mono,pre{font-family:var(--mono);font-size:.88em}
        h1{font-size:26px;line-height:1.25;margin:2px 0 16px;font-weight:650;letter-spacing:-.012em;text-wrap:balance}
        h2{font-size:19px;margin:40px 0 12px;font-weight:650;letter-spacing:-.008em}
        h3{font-size:15px;margin:20px 0 8px;font-weight:600}
        h4{font-size:14px;margin:0;font-weight:600}
        h2 small,h4 small,summary small{color:var(--soft);font-weight:400;font-size:13px;margin-left:6px;letter-spacing:0}
        i{font-style:normal;color:var(--soft);font-weight:400}
        p{margin:8px 0}
        .skip{position:absolute;left:-999px}.skip:focus{left:12px;top:12px;background:var(--surface);padding:8px 12px;z-index:9}
        :focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}
        .kind{margin:0;color:var(--soft);font-size:13px}.kind span{font-family:var(--mono);font-size:12px;margin-left:6px;
        overflow-wrap:anywhere}
        .answer{display:flex;gap:12px;align-items:baseline;max-width:100ch}
        .answer p{margin:0;font-size:16px}
        .answer>b{flex:none;width:26px;height:26px;line-height:26px;border-radius:50%;text-align:center;font-size:15px}
        .good>b{background:var(--rb);color:var(--r)}.bad>b{background:var(--bb);color:var(--b)}
        .incomplete>b{background:var(--mb);color:var(--m)}
        .bar{display:flex;gap:2px;height:10px;margin:18px 0 14px}
        .bar span{min-width:4px;border-radius:2px}
        .bar .r{background:var(--r);opacity:.55}.bar .f{background:var(--bf)}.bar .b{background:var(--bbr)}.bar .m{background:var(--bm)}
        .facts{display:flex;flex-wrap:wrap;gap:8px 28px;margin:0 0 14px}
        .facts dt{color:var(--soft);font-size:12px}.facts dd{margin:0;font-size:14px;overflow-wrap:anywhere}
        nav{display:flex;gap:20px;border-bottom:1px solid var(--line);padding:0 0 10px;flex-wrap:wrap}
        .warn{border-left:3px solid var(--m);padding:2px 0 2px 16px;margin-top:24px}
        .warn h2{margin:0;font-size:16px}.warn ul{margin:6px 0;padding-left:18px}
        #filter{position:sticky;top:0;z-index:3;background:var(--bg);padding:12px 0 8px;border-bottom:1px solid var(--line)}
        #filter .row{display:flex;flex-wrap:wrap;gap:8px;align-items:center}
        #filter label{display:flex;align-items:center;gap:6px;font-size:13px;color:var(--soft)}
        #filter label.grow{flex:1 1 200px}.grow span{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
        input,select,button{font:inherit;font-size:13px;color:var(--ink);background:var(--surface);border:1px solid var(--line);
        border-radius:6px;height:32px;padding:0 10px;min-width:0}
        input{width:100%}select{max-width:190px}
        button{cursor:pointer;white-space:nowrap}button:hover:enabled,select:hover,input:hover{border-color:var(--soft)}
        button:disabled{opacity:.45;cursor:default}
        .chip b{font-weight:600}.chip.r b{color:var(--r)}.chip.f b{color:var(--f)}.chip.b b,.chip.u b{color:var(--b)}
        .chip.m b{color:var(--m)}
        .chip[aria-pressed=true]{background:var(--ink);color:var(--bg);border-color:var(--ink)}
        .chip[aria-pressed=true] b,.chip[aria-pressed=true] i{color:inherit}
        .plainbutton{border-color:transparent;background:none;color:var(--link)}
        #filter .row+.row{margin-top:8px}
        #matches{margin:0 0 0 6px;font-size:13px;color:var(--soft)}
        .tag{display:inline-block;font-size:12px;line-height:20px;padding:0 8px;border-radius:10px;background:var(--faint);
        color:var(--soft);font-weight:400;white-space:nowrap}
        .tag.proven{background:var(--rb);color:var(--r)}.tag.alarm{background:var(--bb);color:var(--b);font-weight:600}
        .group{border-top:1px solid var(--line);padding:14px 0 6px}.group h3{margin:0}
        .group h3 code{font-size:15px}.group h3 i{margin-left:4px}
        .meaning{color:var(--soft);font-size:13.5px;max-width:90ch;margin:4px 0 10px}
        .cluster{background:var(--surface);border:1px solid var(--line);border-radius:8px;margin:6px 0}
        .cluster summary{display:flex;gap:12px;align-items:baseline;padding:9px 14px;cursor:pointer;list-style:none}
        .cluster summary::-webkit-details-marker{display:none}
        .cluster summary::before{content:"▸";color:var(--soft);flex:none;width:10px}.cluster[open] summary::before{content:"▾"}
        .count{flex:none;min-width:36px;text-align:right}.what{flex:1;min-width:0;overflow-wrap:anywhere}
        .where{display:block;color:var(--soft);font-size:13px}
        .body{padding:2px 16px 14px 74px;border-top:1px solid var(--line);font-size:14px}.body h4{margin:14px 0 6px}
        .evidence{display:grid;grid-template-columns:minmax(90px,max-content) 1fr;gap:5px 14px;margin:0;font-size:13px}
        .evidence dt{color:var(--soft)}
        .evidence dd{margin:0;font-family:var(--mono);font-size:12px;line-height:1.55;white-space:pre-wrap;overflow-wrap:anywhere;
        min-width:0}
        .command{display:inline-block;background:var(--faint);border-radius:5px;padding:3px 8px;overflow-wrap:anywhere}
        .ids{columns:300px;margin:0;padding:0;list-style:none;font:12px/1.8 var(--mono);overflow-wrap:anywhere}
        .part h3{color:var(--soft);font-weight:500}
        .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(264px,1fr));gap:14px}
        .card{background:var(--surface);border:1px solid var(--line);border-radius:8px;padding:12px 14px 14px;min-width:0;display:flex;
        flex-direction:column;        content-visibility:auto;contain-intrinsic-size:auto 300px auto 320px}
        .cards.large{grid-template-columns:repeat(auto-fill,minmax(min(100%,520px),1fr))}
        .sum{margin:0 0 6px;color:var(--soft);font-size:12.5px}.sum .t{margin-right:6px;white-space:nowrap}
        .t.r{color:var(--r)}.t.f{color:var(--f)}.t.b,.t.u{color:var(--b)}.t.m{color:var(--m)}
        .wide{overflow-x:auto}
        .card .wide{margin-top:auto}
        .map{width:100%;border-collapse:separate;border-spacing:2px;font-size:12.5px}
        .map tbody th,.corner{width:1%}
        .map th{font-weight:400;color:var(--soft);text-align:right;padding:0 6px 0 0;white-space:nowrap;max-width:130px;
        overflow:hidden;text-overflow:ellipsis}
        .map thead th{padding:0 0 4px;vertical-align:bottom;height:1px;text-align:left;max-width:none}
        .map thead th span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:120px;overflow:hidden;display:block;
        margin:0 auto;line-height:1.2}
        .corner{color:var(--soft);font-size:11px;vertical-align:bottom;text-align:right;padding:0 6px 5px 0;opacity:.8;
        white-space:nowrap}
        .map tbody td{padding:0;min-width:26px;height:28px;border-radius:4px;text-align:center}
        .map a{display:block;height:28px;line-height:28px;text-decoration:none;color:inherit;border-radius:4px;font-weight:600}
        .map a:hover,.map a.on{box-shadow:0 0 0 2px var(--ink)}
        .map sup{font-size:10px;line-height:0;margin-left:1px}
        .map .r{background:var(--rb);color:var(--r)}.map .r a{font-weight:400}
        .map .f{background:var(--fb);color:var(--f)}.map .b{background:var(--bb);color:var(--b)}
        .map .m{color:var(--m);background:repeating-linear-gradient(45deg,var(--mb) 0 4px,transparent 4px 7px)}
        .map .n{background:none}
        .map .u{box-shadow:inset 0 0 0 2px var(--u)}
        .map .k:not(.u),.ring{box-shadow:inset 0 0 0 1px color-mix(in srgb,currentColor 45%,transparent)}
        .map .off{opacity:.13}
        .large .map{border-spacing:1px}.large .map tbody td{min-width:18px;height:21px;border-radius:3px}
        .large .map a{height:21px;line-height:21px;font-size:11px}
        .legend{display:flex;flex-wrap:wrap;gap:4px 20px;color:var(--soft);font-size:13px;margin:4px 0 0}
        .ring{display:inline-block;width:13px;height:13px;border-radius:3px;vertical-align:-2px;margin-right:4px}
        .plain{border-collapse:collapse;font-size:13.5px;width:100%}
        .plain th,.plain td{text-align:left;padding:6px 14px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
        .plain thead th{color:var(--soft);font-weight:500;font-size:12.5px;white-space:nowrap}
        .plain tbody th{font-weight:600;white-space:nowrap}
        .diff{width:auto;font-size:13px}.diff th,.diff td{padding:3px 18px 3px 0}
        .diff tbody th[scope=row]{font:12px/1.5 var(--mono)}.diff .sub th{padding-top:12px;color:var(--soft);font-weight:500}
        .diff .yes{color:var(--r)}.diff .no{color:var(--soft)}
        .fold{border-bottom:1px solid var(--line);padding:8px 0}.fold summary{cursor:pointer;font-weight:600;font-size:14px}
        .fold>dl,.fold>div{margin:10px 0 6px 18px}
        #method{color:var(--soft);max-width:78ch;font-size:14px;padding-bottom:48px}#method h2{color:var(--ink)}
        #panel{position:fixed;right:0;top:0;bottom:0;width:min(600px,100vw);background:var(--surface);z-index:5;overflow-y:auto;
        box-shadow:var(--shadow);border-left:1px solid var(--line);padding:16px 24px 32px;overscroll-behavior:contain}
        #panel:focus{outline:none}
        #panel h2{margin:4px 0 0;font-size:20px;overflow-wrap:anywhere}
        #panel h3{margin:22px 0 8px;font-size:13px;color:var(--soft);font-weight:500}
        .tools{display:flex;gap:6px;align-items:center}.tools span{flex:1;color:var(--soft);font-size:13px}
        .tools button{padding:0 10px}
        .idline{font:12px var(--mono);color:var(--soft);margin:2px 0 12px;overflow-wrap:anywhere}
        .badge{display:inline-block;padding:2px 10px;border-radius:6px;font-weight:600}
        .badge.r{background:var(--rb);color:var(--r)}.badge.f{background:var(--fb);color:var(--f)}
        .badge.b{background:var(--bb);color:var(--b)}.badge.m{background:var(--mb);color:var(--m)}
        .time{display:grid;grid-template-columns:64px 1fr 76px;gap:4px 12px;align-items:center;font-size:13px}
        .time .track{height:12px;position:relative;background:var(--faint);border-radius:3px}
        .time .track span{position:absolute;top:0;bottom:0;background:var(--soft);opacity:.75;border-radius:3px;min-width:2px}
        .time .bad{color:var(--b);font-weight:600}.time .bad+.track span{background:var(--b);opacity:1}
        .time .ms{text-align:right}
        .copyrow{display:flex;gap:8px;align-items:flex-start}.copyrow code{flex:1}
        pre{background:var(--faint);border-radius:6px;padding:10px 12px;overflow:auto;max-height:340px;margin:6px 0;font-size:12px;
        line-height:1.5;white-space:pre-wrap;overflow-wrap:anywhere}
        .features code{display:inline-block;background:var(--faint);border-radius:4px;padding:0 6px;margin:0 4px 4px 0;
        font-size:12px}
        .features code.hit{background:var(--bb);color:var(--b)}
        [hidden]{display:none!important}
        @media (max-width:640px){header,main{padding:0 14px}header{padding-top:16px}h1{font-size:21px}
        #filter{position:static}#filter label:not(.grow){flex:1 1 140px}#filter select{flex:1;max-width:none}
        .cards{grid-template-columns:repeat(auto-fill,minmax(min(100%,240px),1fr))}
        .cluster summary{flex-wrap:wrap;gap:4px 10px;padding:9px 12px}.what{flex:1 1 70%}.body{padding:2px 12px 12px}
        .evidence{grid-template-columns:1fr;gap:1px}.evidence dd{margin-bottom:8px}
        .fold>dl,.fold>div{margin-left:0}#panel{padding:12px 14px 28px}.map tbody td{height:34px}
        .map a{height:34px;line-height:34px}}
        @media (prefers-reduced-motion:no-preference){#panel{animation:in .14s ease-out}
        @keyframes in{from{transform:translateX(24px)}}}
        @media print{body{background:#fff;font-size:11px}#filter,#panel,nav,.skip{display:none!important}
        header,main{max-width:none;padding:0}.card,.cluster,.group{break-inside:avoid}.card{content-visibility:visible}
        .cards{grid-template-columns:repeat(auto-fill,minmax(200px,1fr));gap:8px}*{print-color-adjust:exact;
        -webkit-print-color-adjust:exact}.map tbody td,.map a{height:20px;line-height:20px}h2{margin-top:20px}a{color:inherit}}

        """#
}
