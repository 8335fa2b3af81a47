'use strict';
/** Rooms, people and messages as the engine hands them to an app. */

const ALICE = { id: 'aliceId', username: 'alice', name: 'Alice', type: 'user', roles: ['livechat-agent'], emails: [{ address: 'a@example.com' }] };
const BOB = { id: 'bobId', username: 'bob', name: 'Bob', type: 'user' };
const VISITOR = {
    id: 'v1', token: 'visitor-token', username: 'guest-1', name: 'Ann Guest', department: 'd1',
    visitorEmails: [{ address: 'ann@example.com' }], phone: [{ phoneNumber: '+1 555' }], livechatData: { tier: 'gold' },
};
const DEPARTMENT = { id: 'd1', name: 'Sales', enabled: true };

function room(id = 'r1', more = {}) {
    return {
        id, type: 'l', displayName: 'Ann Guest', slugifiedName: '', creator: undefined, isOpen: true, visitor: VISITOR,
        department: DEPARTMENT, source: { type: 'widget' }, createdAt: new Date('2026-01-31T11:00:00.000Z'),
        livechatData: { order: '17' }, ...more,
    };
}

let n = 0;

/** by the visitor unless sender is given. */
function message(text, more = {}) {
    n += 1;
    const byVisitor = more.sender ? {} : { token: VISITOR.token, visitor: VISITOR };
    const sender = { id: VISITOR.id, username: VISITOR.username, name: VISITOR.name, type: undefined };
    return { id: `m${n}`, room: room(), sender, text, createdAt: new Date('2026-01-31T11:59:00.123Z'), ...byVisitor, ...more };
}

module.exports = { ALICE, BOB, DEPARTMENT, VISITOR, message, room };
