'use strict';
// Values under keys over HTTP, and meanwhile: timers, a worker thread, compiled loops, promises, garbage.
const http = require('http');
const { Worker, isMainThread, parentPort } = require('worker_threads');

// Hot enough to be compiled; both threads compile it for themselves.
function digest(number) {
    let hash = 2166136261;
    for (let round = 0; round < 3000; round++) {
        hash = Math.imul(hash ^ ((number + round) & 255), 16777619) >>> 0;
    }
    return hash;
}

// The same in arithmetic that shares no code with it.
function slowDigest(number) {
    let hash = 2166136261n;
    for (let round = 0; round < 3000; round++) {
        hash = ((hash ^ BigInt((number + round) & 255)) * 16777619n) & 0xffffffffn;
    }
    return Number(hash);
}

function serve(port) {
    const values = new Map();
    const worker = new Worker(__filename);
    let failed = '';
    let ticks = 0;
    let jobs = 0;
    let answered = 0;
    let promises = 0;

    worker.on('message', ({ number, hash }) => {
        const expected = number % 50 === 0 ? slowDigest(number) : digest(number);
        if (number !== answered + 1 || hash !== expected) failed = `job ${number} was answered ${hash}, not ${expected}`;
        answered = number;
        jobs += 1;
        worker.postMessage(jobs + 1);
    });
    worker.on('error', (error) => { failed = `the worker died: ${error.message}`; });
    worker.on('exit', (code) => { failed = failed || `the worker ended with ${code}`; });
    worker.postMessage(1);

    setInterval(() => {
        ticks += 1;
        const garbage = [];
        for (let each = 0; each < 200; each++) garbage.push({ each, text: `t${each}` });
        if (garbage.reduce((sum, entry) => sum + entry.each, 0) !== 19900) failed = 'a list has other members';
    }, 20);
    (async () => {
        for (;;) {
            await new Promise((resolve) => setTimeout(resolve, 25));
            promises += 1;
        }
    })();

    const server = http.createServer((request, response) => {
        const key = request.url.slice(1);
        if (request.method === 'POST') {
            const parts = [];
            request.on('data', (part) => parts.push(part));
            request.on('end', () => {
                values.set(key, Buffer.concat(parts));
                response.end('stored');
            });
        } else if (key === 'health') {
            response.end(failed ? `failed: ${failed}` : `ok ${ticks} ${jobs} ${promises}`);
        } else if (values.has(key)) {
            response.end(values.get(key));
        } else {
            response.statusCode = 404;
            response.end();
        }
    });
    // No connection ends because time has passed.
    server.keepAliveTimeout = 0;
    server.headersTimeout = 0;
    server.requestTimeout = 0;
    server.listen(port, '127.0.0.1');
}

if (isMainThread) {
    serve(Number(process.argv[2]));
} else {
    parentPort.on('message', (number) => parentPort.postMessage({ number, hash: digest(number) }));
}
