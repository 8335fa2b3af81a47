'use strict';
const assert = require('node:assert/strict');
const { test } = require('node:test');

const { Host, SECRET, clock, sign } = require('./harness');
const { ALICE, message, room } = require('./things');

const start = (options) => new Host(options).start();
const words = (host) => host.envelopes.map((each) => each.data.message && each.data.message.msg);
const say = (host, text, id = 'r1') => host.fire('executePostMessageSent', message(text, { room: room(id) }));

/** The scheduler for that long, every 10 s. */
async function pass(host, seconds) {
    for (const end = clock.ms + seconds * 1000; clock.ms < end; ) {
        clock.ms += 10000;
        await host.tick();
        await host.settle();
    }
}

test('an hour without the bridge: everything arrives afterwards, once, in order', async () => {
    const host = await start({ answer: () => { throw new Error('ECONNREFUSED'); } });
    const told = { r1: [], r2: [] };
    for (let n = 0; n < 120; n += 1) {
        const id = n % 3 ? 'r1' : 'r2';
        told[id].push(`words ${n}`);
        await say(host, `words ${n}`, id);
        await pass(host, 30);
    }
    assert.equal(host.waiting, 120);
    assert.ok(host.requests.length < 90, `${host.requests.length} attempts in an hour`);
    const before = host.requests.length;
    host.answer = () => 200;
    await pass(host, 80);

    assert.equal(host.waiting, 0);
    assert.equal(host.requests.length - before, 120);
    for (const id of ['r1', 'r2']) {
        const found = host.envelopes.filter((each) => each.rid === id).map((each) => each.data.message.msg);
        assert.deepEqual(found, told[id]);
    }
    for (const { options, envelope, at } of host.requests) {
        const seconds = Math.floor(at / 1000);
        assert.equal(options.headers['webhook-timestamp'], String(seconds), 'signed anew for each attempt');
        assert.equal(options.headers['webhook-signature'], sign(SECRET, envelope.id, seconds, options.content));
    }
});

test('while the bridge is up nothing waits for the scheduler, and a burst stays in order', async () => {
    const host = await start({ answer: () => new Promise((done) => setImmediate(() => done(200))) });
    const texts = Array.from({ length: 50 }, (_, n) => `burst ${n}`);
    await Promise.all(texts.map((each) => say(host, each)));
    await host.settle();
    assert.deepEqual(words(host), texts);
    assert.deepEqual([host.waiting, host.requests.length], [0, 50]);
});

test('what a handler has to look up first does not change the order', async () => {
    const host = await start();
    const quick = host.appUser;
    host.appUser = () => new Promise((done) => setTimeout(() => done(quick()), 20));
    const first = host.app.executePostMessageSent(message('before the close'), host.read, host.http, host.persis);
    await host.fire('executePostLivechatRoomClosed', room());
    await first;
    await host.settle();
    assert.deepEqual(host.envelopes.map((each) => each.type), ['message.posted', 'room.closed']);
});

test('an event of which the answer was lost comes again with its id and its words', async () => {
    let n = 0;
    const host = await start({ answer: () => ((n += 1) === 1 ? Promise.reject(new Error('reset')) : 204) });
    await say(host, 'once');
    await host.settle();
    await pass(host, 20);
    const [first, second] = host.requests;
    assert.equal(host.requests.length, 2);
    assert.equal(first.options.headers['webhook-id'], second.options.headers['webhook-id']);
    assert.equal(first.options.content, second.options.content);
});

for (const status of [301, 401, 404, 429, 500, 503]) {
    test(`${status} keeps the event`, async () => {
        const host = await start({ answer: () => status });
        await say(host, 'kept');
        await host.settle();
        await pass(host, 3600);
        assert.equal(host.waiting, 1);
        host.answer = () => 200;
        await pass(host, 70);
        assert.deepEqual([host.waiting, words(host)], [0, ['kept']]);
    });
}

test('what was stored survives the process', async () => {
    const before = await start({ answer: () => 503 });
    await say(before, 'a');
    await say(before, 'b');
    await before.settle();
    clock.ms += 1000;
    const after = await start({ store: before.records });
    await say(after, 'c');
    await after.tick();
    await after.settle();
    assert.deepEqual(words(after), ['a', 'b', 'c']);
});

test('two instances of the server: first arrivals are in order', async () => {
    const arrived = [];
    const answer = async ({ envelope }) => {
        await new Promise((done) => setTimeout(done, Math.random() * 3));
        arrived.push(envelope.id);
        return 200;
    };
    const one = await start({ answer: () => 503 });
    for (let n = 0; n < 20; n += 1) {
        await say(one, `n ${n}`);
        clock.ms += 1;
    }
    await one.settle();
    const order = one.records.map((each) => each.data).sort((a, b) => a.at - b.at).map((each) => each.id);
    clock.ms += 60000;
    one.answer = answer;
    const two = await start({ answer });
    two.stored = one.stored.bind(one); // one database
    two.persis = one.persis;
    await Promise.all([one.tick(), two.tick()]);
    await Promise.all([one.settle(), two.settle()]);
    assert.deepEqual(arrived.filter((each, at) => arrived.indexOf(each) === at), order);
    assert.equal(one.waiting, 0);
});

test('bound by number: the oldest goes, and the bridge is told how many, once', async () => {
    const host = await start({ settings: { outbox_events: 100 }, answer: () => 503 });
    for (let n = 0; n < 130; n += 1) {
        await say(host, `n ${n}`);
    }
    await host.settle();
    await pass(host, 70);
    assert.equal(host.envelopes.length, 0);
    assert.equal(host.waiting, 101); // and the one that tells of it
    await say(host, 'more');
    await pass(host, 130);
    assert.equal(host.waiting, 101);
    host.answer = () => 200;
    await pass(host, 130);

    const told = host.envelopes.filter((each) => each.type === 'outbox.dropped');
    assert.equal(told.length, 1);
    assert.deepEqual([told[0].data.count, told[0].data.tooMany, told[0].data.tooOld, told[0].rid], [31, 31, 0, '']);
    assert.ok(told[0].data.firstAt > 0 && told[0].data.lastAt >= told[0].data.firstAt);
    const left = host.envelopes.filter((each) => each.type === 'message.posted').map((each) => each.data.message.msg);
    assert.deepEqual([left[0], left.at(-1), left.length], ['n 31', 'more', 100]);
    await pass(host, 60);
    assert.equal(host.envelopes.filter((each) => each.type === 'outbox.dropped').length, 1);
});

test('bound by age', async () => {
    const host = await start({ settings: { outbox_hours: 1 }, answer: () => 503 });
    await say(host, 'old');
    await host.settle();
    await pass(host, 1800);
    await say(host, 'young');
    await pass(host, 1900);
    host.answer = () => 200;
    await pass(host, 70);
    const told = host.envelopes.filter((each) => each.type === 'outbox.dropped');
    assert.deepEqual(told.map((each) => each.data.tooOld), [1]);
    assert.deepEqual(words(host).filter(Boolean), ['young']);
});

test('an event that the bridge alone calls bad holds its room for a while, then is given up and counted', async () => {
    const isBad = ({ envelope }) => (envelope.data.message && envelope.data.message.msg === 'bad' ? 413 : 200);
    const host = await start({ answer: isBad });
    await say(host, 'bad');
    await say(host, 'after it');
    await say(host, 'elsewhere', 'r2');
    await host.settle();
    assert.deepEqual(words(host), ['elsewhere']);
    await pass(host, 100);
    assert.equal(host.waiting, 2); // since then the bridge took nothing: perhaps it refuses everything
    await say(host, 'elsewhere again', 'r2');
    await pass(host, 20);
    assert.deepEqual(words(host).filter(Boolean), ['elsewhere', 'elsewhere again', 'after it']);
    const told = host.envelopes.filter((each) => each.type === 'outbox.dropped');
    assert.deepEqual(told.map((each) => each.data.refused), [1]);
});

test('a proxy that refuses everything costs nothing', async () => {
    const host = await start({ answer: () => 400 });
    await say(host, 'kept', 'r1');
    await say(host, 'kept too', 'r2');
    await host.settle();
    await pass(host, 3600);
    assert.equal(host.waiting, 2);
    host.answer = () => 200;
    await pass(host, 20);
    assert.deepEqual(words(host).sort(), ['kept', 'kept too']);
});

test('log levels: no word of a visitor, no secret, and the bridge that is away is said once', async () => {
    const host = await start({ settings: { log_level: 'debug' }, answer: () => { throw new Error('ECONNREFUSED'); } });
    await say(host, 'my card is 4111');
    await host.fire('executePostLivechatAgentAssigned', { agent: ALICE, room: room() });
    await host.settle();
    await pass(host, 300);
    const text = JSON.stringify(host.logs);
    assert.equal(text.includes('4111'), false);
    assert.equal(text.includes(SECRET), false);
    assert.equal(host.logs.filter(([level, line]) => level === 'info' && line.includes('kept and sent later')).length, 1);
    assert.ok(host.logs.some(([level]) => level === 'debug'));
});
