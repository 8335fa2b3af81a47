'use strict';
const assert = require('node:assert/strict');
const fs = require('fs');
const path = require('path');
const { test } = require('node:test');
const uikit = require('../../deploy/rocketchat-app/node_modules/@rocket.chat/apps-engine/definition/uikit');
const livechat = require('../../deploy/rocketchat-app/node_modules/@rocket.chat/apps-engine/definition/uikit/livechat');

const { APP_DIR, APP_USER, Host, MANIFEST, PROJECT, SECRET, URL, clock, sign } = require('./harness');
const { ALICE, BOB, DEPARTMENT, VISITOR, message, room } = require('./things');

const start = (options) => new Host(options).start();
const BUTTON = { actionId: 'buy', blockId: 'b1', value: '7', triggerId: 't1', container: { type: 'message', id: 'm1' } };
const clicked = (who, more = {}) => ({ appId: MANIFEST.id, ...who, ...BUTTON, room: room(), message: message('Choose', { sender: BOB }), ...more });
const byUser = (more) => new uikit.UIKitBlockInteractionContext(clicked({ user: ALICE }, more));
const byVisitor = (more) => new livechat.UIKitLivechatBlockInteractionContext(clicked({ visitor: VISITOR }, more));
const pressed = (more = {}) =>
    new uikit.UIKitActionButtonInteractionContext({
        appId: MANIFEST.id, buttonContext: 'roomAction', actionId: 'omnibridge-assist', triggerId: 't1', user: ALICE, room: room(), ...more,
    });

/** handler, its context -> the type of the envelope, and what must be in its data. */
const EVENTS = [
    ['executePostLivechatRoomStarted', room(), 'room.started', (d) => assert.equal(d.room.servedBy, undefined)],
    ['executePostLivechatRoomStarted', room('r1', { visitor: { id: 'v2', token: 't', username: 'g', name: '' } }), 'room.started',
        (d) => assert.deepEqual(d.room.v, { _id: 'v2', username: 'g', name: '', emails: [], phones: [], livechatData: {} })],
    ['executePostLivechatRoomClosed',
        room('r1', { isOpen: false, closer: 'user', closedBy: ALICE, closedAt: new Date('2026-01-31T12:00:00Z') }), 'room.closed',
        (d) => assert.deepEqual([d.room.closer, d.room.closedBy.username, d.room.closedAt, d.room.open], ['user', 'alice', '2026-01-31T12:00:00.000Z', false])],
    ['executePostLivechatRoomTransferred', { type: 'agent', room: room(), from: undefined, to: BOB }, 'room.transferred',
        (d) => assert.deepEqual([d.scope, d.from, d.to], ['agent', undefined, { _id: 'bobId', username: 'bob', name: 'Bob' }])],
    ['executePostLivechatRoomTransferred', { type: 'department', room: room(), from: DEPARTMENT, to: { id: 'd2', name: 'Help' } },
        'room.transferred', (d) => assert.deepEqual([d.scope, d.from._id, d.to._id], ['department', 'd1', 'd2'])],
    ['executePostLivechatAgentAssigned', { agent: ALICE, room: room() }, 'agent.assigned',
        (d) => assert.deepEqual(d.agent, { _id: 'aliceId', username: 'alice', name: 'Alice' })],
    ['executePostLivechatAgentUnassigned', { agent: ALICE, room: room() }, 'agent.unassigned', (d) => assert.equal(d.agent._id, 'aliceId')],
    ['executePostLivechatGuestSaved', VISITOR, 'guest.saved', (d) => assert.deepEqual(d.visitor.emails, ['ann@example.com'])],
    ['executePostLivechatDepartmentRemoved', { department: DEPARTMENT }, 'department.removed', (d) => assert.equal(d.department._id, 'd1')],
    ['executePostLivechatDepartmentDisabled', { department: { ...DEPARTMENT, enabled: false } }, 'department.disabled',
        (d) => assert.equal(d.department.enabled, false)],
    ['executePostMessageSent', message('hello'), 'message.posted',
        (d) => assert.deepEqual([d.message.msg, d.message.from_visitor, d.message.ts], ['hello', true, '2026-01-31T11:59:00.123Z'])],
    ['executePostMessageSent', message('hi', { sender: ALICE }), 'message.posted',
        (d) => assert.deepEqual([d.message.u._id, d.message.from_visitor], ['aliceId', false])],
    ['executePostMessageSent', message('', { file: { _id: 'f1', name: 'a.png', type: 'image/png' } }), 'message.posted',
        (d) => assert.equal(d.message.file.name, 'a.png')],
    ['executePostMessageUpdated', message('hullo', { editor: ALICE, editedAt: new Date('2026-01-31T12:00:00.5Z') }), 'message.updated',
        (d) => assert.deepEqual([d.message.editedAt, d.message.editedBy._id], ['2026-01-31T12:00:00.500Z', 'aliceId'])],
    ['executePostMessageDeleted', message('gone'), 'message.deleted', (d) => assert.equal(d.message.msg, 'gone')],
    ['executeBlockActionHandler', byUser(), 'interaction',
        (d) => assert.deepEqual([d.user._id, d.user.roles, d.visitor, d.action_id, d.block_id, d.value, d.message.msg],
            ['aliceId', ['livechat-agent'], undefined, 'buy', 'b1', '7', 'Choose'])],
    ['executeLivechatBlockActionHandler', byVisitor(), 'interaction',
        (d) => assert.deepEqual([d.visitor._id, d.user, d.trigger_id, d.container.id], ['v1', undefined, 't1', 'm1'])],
];

for (const [handler, context, type, look] of EVENTS) {
    test(`s2_14_to_19 s3_03 ${handler} -> ${type}`, async () => {
        const host = await start();
        const answer = await host.fire(handler, context);
        await host.settle();

        assert.equal(host.requests.length, 1);
        const { url, options, envelope } = host.requests[0];
        assert.equal(url, URL);
        assert.equal(envelope.type, type);
        assert.equal(envelope.site, 'https://chat.example.com');
        assert.equal(envelope.at, '2026-01-31T12:00:00.000Z');
        assert.equal(envelope.rid, envelope.data.room ? 'r1' : '');
        look(envelope.data);
        const { headers, content, timeout } = options;
        assert.equal(headers['webhook-id'], envelope.id);
        assert.equal(headers['webhook-timestamp'], String(clock.ms / 1000));
        assert.equal(headers['webhook-signature'], sign(SECRET, envelope.id, clock.ms / 1000, content));
        assert.ok(timeout > 0 && timeout <= 5000);
        assert.equal(content.includes(VISITOR.token), false, "a visitor's token never leaves");
        assert.equal(host.waiting, 0);
        if (handler.includes('BlockAction')) {
            assert.equal(answer.success, true);
        }
    });
}

test('what is declared is there, and what is there is declared', async () => {
    const host = await start();
    const definitions = fs.readdirSync(path.join(PROJECT, 'node_modules/@rocket.chat/apps-engine/definition/metadata'));
    assert.ok(definitions.includes('AppMethod.js'));
    const { AppMethod } = require(path.join(PROJECT, 'node_modules/@rocket.chat/apps-engine/definition/metadata/AppMethod.js'));
    const prototype = Object.getPrototypeOf(host.app);
    const handlers = Object.getOwnPropertyNames(prototype).filter((each) => each.startsWith('execute'));
    const known = new Set(Object.values(AppMethod));
    assert.deepEqual(handlers.filter((each) => !known.has(each)), []);
    const fits = { executeBlockActionHandler: 'IUIKitInteractionHandler', executeActionButtonHandler: 'IUIKitInteractionHandler',
        executeLivechatBlockActionHandler: 'IUIKitLivechatInteractionHandler' };
    const wanted = handlers.map((each) => fits[each] || each.replace(/^execute/, 'I'));
    assert.deepEqual([...new Set(wanted)].sort(), [...MANIFEST.implements].sort());
    assert.equal(host.enabled, true);
    assert.match(MANIFEST.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.match(MANIFEST.nameSlug, /^([a-z]|-){3,}$/);
});

test('s2_19 one close is one event: the deprecated handler is not there', async () => {
    assert.equal(MANIFEST.implements.includes('ILivechatRoomClosedHandler'), false);
});

test('messages outside of livechat never leave', async () => {
    const host = await start();
    const elsewhere = room('c1', { type: 'c' });
    await host.fire('executePostMessageSent', message('secret', { room: elsewhere, sender: ALICE }));
    await host.app.executePostMessageSent(message('secret', { room: elsewhere, sender: ALICE }), host.read, host.http, host.persis);
    await host.fire('executeBlockActionHandler', byUser({ room: elsewhere }));
    await host.settle();
    assert.deepEqual([host.requests.length, host.records.length], [0, 0]);
});

test('what the app did itself is not told', async () => {
    const host = await start();
    await host.fire('executePostMessageSent', message('posted by the app', { sender: APP_USER }));
    await host.fire('executePostMessageUpdated', message('changed for the bridge', { sender: BOB, editor: APP_USER, editedAt: new Date() }));
    await host.settle();
    assert.equal(host.requests.length, 0);
    await host.fire('executePostMessageUpdated', message('changed by Alice', { sender: BOB, editor: ALICE, editedAt: new Date() }));
    await host.settle();
    assert.equal(host.requests.length, 1);
});

test('groups that are switched off are not told', async () => {
    const off = ['rooms', 'agents', 'messages', 'guests', 'departments', 'interactions'];
    const host = await start({ settings: Object.fromEntries(off.map((each) => [`send_${each}`, false])) });
    for (const [handler, context] of EVENTS) {
        await host.fire(handler, context);
    }
    await host.settle();
    assert.deepEqual([host.requests.length, host.records.length], [0, 0]);
});

for (const [what, settings] of [
    ['no secret', { bridge_secret: '' }],
    ['a secret that is none', { bridge_secret: 'password' }],
    ['a short secret', { bridge_secret: 'whsec_AAAA' }],
    ['no address', { bridge_url: '' }],
    ['an address with a password', { bridge_url: 'https://me:secret@bridge.example.com/x' }],
]) {
    test(`s2_26 ${what}: nothing is sent, and that is said once`, async () => {
        const host = await start({ settings });
        await host.fire('executePostMessageSent', message('hello'));
        await host.fire('executePostMessageSent', message('again'));
        await host.tick();
        await host.settle();
        assert.deepEqual([host.requests.length, host.records.length], [0, 0]);
        assert.equal(host.logs.filter(([level]) => level === 'warn').length, 1);
        assert.equal((await host.ask({ action: 'ping' })).status, 503);
        assert.equal(JSON.stringify(host.logs).includes('secret@'), false);
    });
}

test('changed settings hold at once', async () => {
    const host = await start({ settings: { bridge_secret: '' } });
    await host.fire('executePostMessageSent', message('lost'));
    host.values.bridge_secret = SECRET;
    await host.app.onSettingUpdated();
    await host.fire('executePostMessageSent', message('told'));
    await host.settle();
    assert.deepEqual(host.envelopes.map((each) => each.data.message.msg), ['told']);
});

test('a handler never waits for the bridge and never fails', async () => {
    const host = await start({ answer: () => new Promise(() => undefined) });
    await host.fire('executePostMessageSent', message('the bridge hangs'));
    assert.equal((await host.fire('executeLivechatBlockActionHandler', byVisitor())).success, true);
    host.storageFails = true;
    assert.equal((await host.fire('executeBlockActionHandler', byUser())).success, true);
    assert.equal(host.waiting, 2);
    assert.ok(host.logs.some(([level, text]) => level === 'error' && text.includes('could not be stored')));
});

test('s1_14 the button of livechat rooms opens the bar with what the bridge says', async () => {
    const blocks = [{ type: 'section', text: { type: 'mrkdwn', text: '*Order* 17' } },
        { type: 'actions', elements: [{ type: 'button', actionId: 'use', text: { type: 'plain_text', text: 'Use' } }] }];
    const host = await start({ answer: () => ({ statusCode: 200, data: { title: 'Assist', blocks } }) });
    const [button] = host.buttons;
    assert.deepEqual([button.context, button.when.roomTypes, button.actionId], ['roomAction', ['livechat'], 'omnibridge-assist']);
    const answer = await host.fire('executeActionButtonHandler', pressed());
    assert.equal(answer.type, 'contextual_bar.open');
    assert.equal(answer.view.title.text, 'Assist');
    assert.equal(answer.view.blocks[0].text.text, '*Order* 17');
    assert.equal(answer.view.blocks[1].elements[0].appId, MANIFEST.id);
    const [request] = host.requests;
    assert.equal(request.url, `${URL}/view`);
    assert.deepEqual([request.envelope.room, request.envelope.user._id, request.envelope.app], ['r1', 'aliceId', MANIFEST.id]);
    const { headers, content, timeout } = request.options;
    assert.equal(headers['webhook-signature'], sign(SECRET, headers['webhook-id'], clock.ms / 1000, content));
    assert.ok(timeout <= 3000, 'a click is answered soon');
});

for (const [what, answer, text] of [
    ['nothing is known', () => 404, 'Nothing is known'],
    ['no blocks', () => ({ statusCode: 200, data: { blocks: [] } }), 'Nothing is known'],
    ['the bridge fails', () => 500, 'cannot be reached'],
    ['no answer', () => Promise.reject(new Error('timeout')), 'cannot be reached'],
    ['no JSON', () => ({ statusCode: 200, content: '<html>' }), 'cannot be reached'],
]) {
    test(`s1_15 ${what}: the bar says so`, async () => {
        const host = await start({ answer });
        const { view } = await host.fire('executeActionButtonHandler', pressed());
        assert.ok(view.blocks[0].text.text.includes(text), view.blocks[0].text.text);
        assert.equal(view.blocks.length, 1);
    });
}

test('s2_25 permissions are those that are used', async () => {
    const needs = {
        http: 'networking', persis: 'persistence', persistenceReader: 'persistence', schedulerConfiguration: 'scheduler',
        apiConfiguration: 'api', uiConfiguration: 'ui.registerButtons', serverSettings: 'server-setting.read',
        'userReader.getAppUser': 'user.read', 'messageReader.getById': 'message.read', 'updater.message': 'message.write',
        'updater.finish': 'message.write',
    };
    const free = ['read', 'environment', 'settings', 'settingsConfiguration', 'modify', 'messageBuilder'];
    const host = await start({ answer: (request) => (request.url.endsWith('/view') ? 404 : 200) });
    for (const [handler, context] of EVENTS) {
        await host.fire(handler, context);
    }
    const shown = await host.fire('executeActionButtonHandler', pressed());
    const used = new Set(shown.type === 'contextual_bar.open' ? ['ui.interact'] : []);
    await host.tick();
    const posted = message('Choose', { sender: BOB });
    host.messages.set(posted.id, posted);
    await host.ask({ action: 'message.update', room: 'r1', message: posted.id, text: 'x', blocks: [], attachments: [] });
    host.answer = () => 413; // what an event that is refused needs
    await host.fire('executePostMessageSent', message('too large'));
    await host.settle();
    for (const call of host.calls) {
        const owner = call.split('.')[0];
        const permission = needs[call] || needs[owner];
        assert.ok(permission || free.includes(owner), `${call}: which permission does it need?`);
        if (permission) {
            used.add(permission);
        }
    }
    assert.deepEqual([...used].sort(), MANIFEST.permissions.map((each) => each.name).sort());

    // Nothing in the source that was not called above: methods of the engine's accessors, by name.
    const accessors = path.join(PROJECT, 'node_modules/@rocket.chat/apps-engine/definition/accessors');
    const methods = new Set();
    for (const file of fs.readdirSync(accessors).filter((each) => each.endsWith('.d.ts'))) {
        for (const [, method] of fs.readFileSync(path.join(accessors, file), 'utf8').matchAll(/^ {4}(\w+)\??\(/gm)) {
            methods.add(method);
        }
    }
    const called = new Set([...host.calls].map((each) => each.split('.')[1]));
    const other = new Set(['get', 'delete', 'finish', 'debug', 'info', 'warn', 'error', 'update', 'getID', 'getLogger']);
    for (const file of ['OmnibridgeApp.ts', ...fs.readdirSync(path.join(PROJECT, 'src')).map((each) => `src/${each}`)]) {
        for (const [, method] of fs.readFileSync(path.join(PROJECT, file), 'utf8').matchAll(/\.(\w+)\(/g)) {
            assert.ok(!methods.has(method) || called.has(method) || other.has(method), `${file}: ${method} is called in no test`);
        }
    }
    assert.ok(methods.size > 100);
});

test('every setting has its words', async () => {
    const host = await start();
    const words = JSON.parse(fs.readFileSync(path.join(APP_DIR, 'i18n/en.json'), 'utf8'));
    for (const each of host.settings.values()) {
        const named = [each.i18nLabel, each.i18nDescription, each.section, ...(each.values || []).map((one) => one.i18nLabel)];
        assert.deepEqual(named.filter((name) => !words[name]), [], each.id);
        assert.equal(each.public, false);
    }
    assert.equal(host.settings.get('bridge_secret').type, 'password');
    assert.ok(words[host.buttons[0].labelI18n]);
});
