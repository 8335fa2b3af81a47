'use strict';
/**
 * The app, told what to do from outside: a JSON object a line in, one a line out. Its requests go over a real socket.
 *
 *   {"start": {settings}, "clock": ms}   {"clock": ms}   {"fire": handler, "context": {...}}   {"click": {...}}
 *   {"press": {...}}   {"tick": n, "every": ms}   {"ask": {headers, content}}   {"state": true}
 */
const http = require('http');
const readline = require('readline');
const uikit = require('../../deploy/rocketchat-app/node_modules/@rocket.chat/apps-engine/definition/uikit');
const livechat = require('../../deploy/rocketchat-app/node_modules/@rocket.chat/apps-engine/definition/uikit/livechat');

const { Host, MANIFEST, clock } = require('./harness');

function post({ url, options }) {
    return new Promise((done, fail) => {
        const request = http.request(url, { method: 'POST', headers: options.headers, timeout: options.timeout }, (answer) => {
            const chunks = [];
            answer.on('data', (chunk) => chunks.push(chunk));
            answer.on('end', () => done({ statusCode: answer.statusCode, content: Buffer.concat(chunks).toString() }));
        });
        request.on('error', fail);
        request.on('timeout', () => request.destroy(new Error('timeout')));
        request.end(options.content);
    });
}

let host;

async function carryOut(wish) {
    if (wish.clock) {
        clock.ms = wish.clock;
    }
    if (wish.start) {
        host = await new Host({ settings: wish.start, answer: post }).start();
    } else if (wish.fire) {
        await host.fire(wish.fire, wish.context);
        await host.settle();
    } else if (wish.click) {
        const context = new livechat.UIKitLivechatBlockInteractionContext({ appId: MANIFEST.id, ...wish.click });
        await host.fire('executeLivechatBlockActionHandler', context);
        await host.settle();
    } else if (wish.press) {
        const context = new uikit.UIKitActionButtonInteractionContext({ appId: MANIFEST.id, buttonContext: 'roomAction', ...wish.press });
        return host.fire('executeActionButtonHandler', context);
    } else if (wish.tick) {
        for (let n = 0; n < wish.tick; n += 1) {
            await host.tick();
            await host.settle();
            clock.ms += wish.every || 0;
        }
    } else if (wish.ask) {
        return host.endpoint({ method: 'post', query: {}, params: {}, ...wish.ask });
    }
    const requests = host.requests.map(({ options, status, envelope }) => ({ options, status: status || 0, id: envelope.id }));
    return { waiting: host.waiting, requests: wish.state ? requests : requests.length, clock: clock.ms };
}

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const answer = await carryOut(JSON.parse(line)).catch((error) => ({ error: error.stack }));
        process.stdout.write(`${JSON.stringify(answer)}\n`);
    }
})();
