import type { IDepartment, ILivechatMessage, ILivechatRoom, IVisitor } from '@rocket.chat/apps-engine/definition/livechat';
import type { IMessage } from '@rocket.chat/apps-engine/definition/messages';
import type { IRoom } from '@rocket.chat/apps-engine/definition/rooms';
import type { IUser } from '@rocket.chat/apps-engine/definition/users';

/**
 * What the engine hands over -> what the bridge reads: the names of the REST API, times as ISO text, and only what is
 * needed. A visitor's token lets its holder write as the visitor: it never leaves.
 */

export type Table = { [name: string]: unknown };

export function isLivechat(room: IRoom | undefined): room is ILivechatRoom {
    return !!room && String(room.type) === 'l';
}

export function userOf(user: IUser | undefined): Table | undefined {
    return user && user.id ? { _id: user.id, username: user.username, name: user.name } : undefined;
}

/** Who clicked; the bridge tells bots his roles. */
export function actorOf(user: IUser): Table {
    return { ...userOf(user), roles: user.roles || [] };
}

/** fields: `livechatData`, what the visitor or a form told. */
export function visitorOf(visitor: IVisitor | undefined): Table | undefined {
    if (!visitor) {
        return undefined;
    }
    return {
        _id: visitor.id,
        username: visitor.username,
        name: visitor.name,
        department: visitor.department,
        emails: (visitor.visitorEmails || []).map((each) => each.address),
        phones: (visitor.phone || []).map((each) => each.phoneNumber),
        livechatData: visitor.livechatData || {},
    };
}

export function departmentOf(department: IDepartment | undefined): Table | undefined {
    return department ? { _id: department.id, name: department.name, enabled: department.enabled } : undefined;
}

export function roomOf(room: IRoom): Table {
    const livechat = room as Partial<ILivechatRoom> & IRoom & { livechatData?: Table };
    const visitor = visitorOf(livechat.visitor);
    return {
        _id: room.id,
        t: room.type,
        open: livechat.isOpen,
        fname: (visitor && visitor.name) || room.displayName,
        ts: time(room.createdAt),
        v: visitor,
        servedBy: userOf(livechat.servedBy),
        departmentId: livechat.department && livechat.department.id,
        source: livechat.source && { type: livechat.source.type },
        livechatData: livechat.livechatData || {},
        closedAt: time(livechat.closedAt),
        closer: livechat.closer,
        closedBy: userOf(livechat.closedBy),
    };
}

export function messageOf(message: IMessage): Table {
    const livechat = message as ILivechatMessage;
    return {
        _id: message.id,
        rid: message.room && message.room.id,
        msg: message.text,
        ts: time(message.createdAt),
        u: userOf(message.sender),
        from_visitor: !!livechat.token,
        alias: message.alias,
        tmid: message.threadId,
        editedAt: time(message.editedAt),
        editedBy: userOf(message.editor),
        t: (message as { type?: unknown }).type,
        file: message.file,
        files: (message as { files?: unknown }).files,
        attachments: message.attachments,
        blocks: message.blocks,
    };
}

/** ISO text of a Date or of what JSON made of it. */
export function time(value: Date | string | number | undefined): string | undefined {
    if (!value) {
        return undefined;
    }
    const found = new Date(value);
    return Number.isNaN(found.getTime()) ? undefined : found.toISOString();
}
