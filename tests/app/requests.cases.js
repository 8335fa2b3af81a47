'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');

const { APP_USER, Host, MANIFEST, SECRET, clock, sign } = require('./harness');
const { BOB, message, room } = require('./things');

const OTHER = `whsec_${Buffer.from('another-secret-another-secret-32').toString('base64')}`;
const BLOCKS = [
    { type: 'section', text: { type: 'mrkdwn', text: 'Choose' }, accessory: { type: 'button', actionId: 'a', text: { type: 'plain_text', text: 'A' } } },
    { type: 'section', text: { type: 'mrkdwn', text: 'Picture' }, accessory: { type: 'image', imageUrl: 'https://x.example.com/i.png', altText: 'i' } },
    { type: 'actions', elements: [{ type: 'button', actionId: 'b', text: { type: 'plain_text', text: 'B' } }] },
    { type: 'input', element: { type: 'plain_text_input', actionId: 'c' }, label: { type: 'plain_text', text: 'C' } },
];
const STAFF = { engine: ['rocket.chat'] };
const WORDS = { type: 'section', text: { type: 'mrkdwn', text: 'For staff' } };

async function started(options) {
    const host = await new Host(options).start();
    const posted = message('Choose', {
        id: 'm1', sender: BOB, blocks: BLOCKS, attachments: [{ text: 'or', actions: [{ type: 'button', text: 'Yes', msg: 'yes' }] }],
    });
    host.messages.set('m1', posted);
    host.messages.set('m2', message('of a channel', { id: 'm2', sender: BOB, room: room('c1', { type: 'c' }) }));
    return host;
}

test('what is for one side only is looked into, and what may be used again stays', async () => {
    const host = await started();
    const menu = { ...BLOCKS[2], blockId: 'ob1.keep.5' };
    const blocks = [{ type: 'conditional', when: STAFF, render: [WORDS, BLOCKS[2]] }, menu, { ...BLOCKS[2], blockId: 'ob1.once.6' }];
    assert.equal((await host.ask({ ...UPDATE, blocks })).status, 200);
    const shown = host.finished[host.finished.length - 1].blocks;
    assert.deepEqual(shown[0].render.map((each) => each.appId), [MANIFEST.id, MANIFEST.id]);
    host.messages.get('m1').blocks = blocks;
    assert.equal((await host.ask({ ...UPDATE, action: 'message.remove_buttons' })).status, 200);
    assert.deepEqual(host.finished[host.finished.length - 1].blocks, [{ type: 'conditional', when: STAFF, render: [WORDS] }, menu]);
});

const UPDATE = { action: 'message.update', room: 'r1', message: 'm1' };

test('text, blocks and attachments are changed by the app user, and clicks come to us', async () => {
    const host = await started();
    const attachments = [{ text: 'new' }];
    const answer = await host.ask({ ...UPDATE, text: 'Thanks', blocks: BLOCKS, attachments });
    assert.deepEqual([answer.status, answer.content], [200, { message: 'm1' }]);
    const [change] = host.finished;
    assert.deepEqual([change.id, change.editor, change.setEditor.id, change.text], ['m1', APP_USER.id, APP_USER.id, 'Thanks']);
    assert.deepEqual(change.attachments, attachments);
    assert.deepEqual(change.blocks.map((each) => each.appId), Array(4).fill(MANIFEST.id));
    assert.deepEqual([change.blocks[0].accessory.appId, change.blocks[2].elements[0].appId, change.blocks[3].element.appId], Array(3).fill(MANIFEST.id));
});

test('only what is named is changed', async () => {
    const host = await started();
    await host.ask({ ...UPDATE, text: 'Thanks' });
    assert.deepEqual(Object.keys(host.finished[0]).sort(), ['editor', 'id', 'setEditor', 'text']);
});

test('buttons go, words and pictures stay', async () => {
    const host = await started();
    assert.equal((await host.ask({ ...UPDATE, action: 'message.remove_buttons' })).status, 200);
    const [change] = host.finished;
    assert.deepEqual(change.blocks, [{ type: 'section', text: { type: 'mrkdwn', text: 'Choose' } }, BLOCKS[1]]);
    assert.deepEqual(change.attachments, [{ text: 'or', actions: [] }]);
    assert.equal('text' in change, false);
});

test('a request is carried out once: replay refused, also by the next process', async () => {
    const host = await started();
    const [first, second] = await Promise.all([1, 2].map(() => host.ask({ ...UPDATE, text: 'x' }, { id: 'same' })));
    assert.deepEqual([first.status, second.status].sort(), [200, 409]);
    assert.equal((await host.ask({ ...UPDATE, text: 'x' }, { id: 'same' })).status, 409);
    const next = await started({ store: host.records });
    assert.equal((await next.ask({ ...UPDATE, text: 'x' }, { id: 'same' })).status, 409);
    assert.deepEqual([host.finished.length, next.finished.length], [1, 0]);
});

test('ids are forgotten when their time stamps are refused anyway', async () => {
    const host = await started();
    const at = clock.ms + 4 * 60000; // of a clock that is ahead
    await host.ask({ ...UPDATE, text: 'x' }, { id: 'same', at });
    clock.ms += 8 * 60000;
    await host.tick();
    assert.equal((await host.ask({ ...UPDATE, text: 'x' }, { id: 'same', at })).status, 409);
    clock.ms += 4 * 60000;
    await host.tick();
    assert.equal(host.records.length, 0);
    assert.equal((await host.ask({ ...UPDATE, text: 'x' }, { id: 'same', at })).status, 401);
});

for (const [what, options] of [
    ['of another secret', { secret: OTHER }],
    ['without a signature', { headers: { 'webhook-signature': '' } }],
    ['a signature of another version', { headers: { 'webhook-signature': 'v2,AAAA' } }],
    ['a signature that is none', { headers: { 'webhook-signature': 'v1,AAAA' } }],
    ['without an id', { headers: { 'webhook-id': '' } }],
    ['under another id', { headers: { 'webhook-id': 'other' } }],
    ['a time stamp that is none', { headers: { 'webhook-timestamp': 'now' } }],
    ['with another time stamp', { headers: { 'webhook-timestamp': String(clock.ms / 1000 + 1) } }],
    ['too old', { at: clock.ms - 301000, drift: true }],
    ['from the future', { at: clock.ms + 302000, drift: true }],
]) {
    test(`s2_26 refused: ${what}`, async () => {
        const host = await started();
        const at = options.drift ? clock.ms + (what === 'too old' ? -301000 : 302000) : clock.ms;
        const answer = await host.ask({ ...UPDATE, text: 'x' }, { ...options, at });
        assert.equal(answer.status, 401);
        assert.deepEqual([host.finished.length, host.records.length], [0, 0]);
    });
}

test('s2_26 a payload that was changed is refused; a second key of a rotation is found', async () => {
    const host = await started();
    const payload = JSON.stringify({ app: MANIFEST.id, ...UPDATE, text: 'x' });
    const seconds = Math.floor(clock.ms / 1000);
    const headers = { 'Webhook-Id': 'i', 'Webhook-Timestamp': String(seconds), 'Webhook-Signature': `${sign(OTHER, 'i', seconds, payload)} ${sign(SECRET, 'i', seconds, payload)}` };
    const request = (content) => ({ method: 'post', headers, query: {}, params: {}, content });
    assert.equal((await host.endpoint(request({ payload: payload.replace('"x"', '"y"') }))).status, 401);
    assert.equal((await host.endpoint(request({ payload }))).status, 200);
});

for (const [what, asked, status] of [
    ['another room', { ...UPDATE, room: 'r2', text: 'x' }, 404],
    ['a room that is no livechat room', { ...UPDATE, room: 'c1', message: 'm2', text: 'x' }, 404],
    ['a message that is not there', { ...UPDATE, message: 'm9', text: 'x' }, 404],
    ['another app', { ...UPDATE, app: 'other', text: 'x' }, 400],
    ['an unknown action', { ...UPDATE, action: 'message.delete' }, 400],
    ['blocks that are no list', { ...UPDATE, blocks: 'x' }, 400],
    ['too many blocks', { ...UPDATE, blocks: Array(51).fill({ type: 'divider' }) }, 400],
    ['no JSON', '{', 400],
    ['null', 'null', 400],
]) {
    test(`refused: ${what}`, async () => {
        const host = await started();
        const answer = await host.ask(asked);
        assert.equal(answer.status, status);
        assert.equal(host.finished.length, 0);
    });
}

for (const content of [undefined, '', {}, { payload: 1 }]) {
    test(`refused: ${JSON.stringify(content)} as body`, async () => {
        const host = await started();
        assert.equal((await host.endpoint({ method: 'post', headers: {}, query: {}, params: {}, content })).status, 400);
    });
}

test('ping tells what waits', async () => {
    const host = await started({ answer: () => 503 });
    await host.fire('executePostMessageSent', message('waits'));
    await host.settle();
    const { status, content } = await host.ask({ action: 'ping' });
    assert.equal(status, 200);
    assert.deepEqual([content.app, content.version, content.outbox.waiting, content.outbox.dropped.count], [MANIFEST.id, MANIFEST.version, 1, 0]);
});
