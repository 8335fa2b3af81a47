import type { IModify, IPersistence, IPersistenceRead, IRead } from '@rocket.chat/apps-engine/definition/accessors';
import { HttpStatusCode } from '@rocket.chat/apps-engine/definition/accessors';
import type { IApiRequest, IApiResponse } from '@rocket.chat/apps-engine/definition/api';
import type { IMessageAttachment } from '@rocket.chat/apps-engine/definition/messages';
import { RocketChatAssociationModel, RocketChatAssociationRecord } from '@rocket.chat/apps-engine/definition/metadata';

import { withAppId, withoutButtons } from './blocks';
import type { Options } from './settings';
import type { Table } from './shapes';
import { isLivechat } from './shapes';
import { header, whyRefused, WINDOW_MS } from './signing';

/**
 * What the bridge asks of us: `{"payload": "JSON text"}`, signed over that text, because the raw body is not to be had.
 *
 *   {"app": APP_ID, "action": "message.update", "room": ID, "message": ID, "text"?, "blocks"?, "attachments"?}
 *   {"app": APP_ID, "action": "message.remove_buttons", "room": ID, "message": ID}
 *   {"app": APP_ID, "action": "ping"}
 *
 * `webhook-id` is used once: a repeated one is refused with 409, so an attempt after an unclear answer takes a new one;
 * all actions may be repeated. Rooms other than livechat ones are refused, whatever the signature.
 */

const MOST_BLOCKS = 50;
const REMEMBERED_MS = 2 * WINDOW_MS + 60000;
const SEEN = new RocketChatAssociationRecord(RocketChatAssociationModel.MISC, 'seen');

function seenOf(id: string): RocketChatAssociationRecord {
    return new RocketChatAssociationRecord(RocketChatAssociationModel.MISC, `seen:${id}`);
}

class Refusal extends Error {
    constructor(public readonly status: number, message: string) {
        super(message);
    }
}

export class BridgeRequests {
    private readonly now = new Set<string>();

    constructor(
        private readonly appId: string,
        private readonly ping: (stored: IPersistenceRead) => Promise<Table>,
    ) {}

    public async answer(
        request: IApiRequest,
        options: Options,
        read: IRead,
        modify: IModify,
        persis: IPersistence,
    ): Promise<IApiResponse> {
        try {
            const asked = await this.authenticate(request, options, read, persis);
            const content = await this.carryOut(asked, read, modify);
            return { status: HttpStatusCode.OK, content };
        } catch (error) {
            if (error instanceof Refusal) {
                return { status: error.status, content: { error: error.message } };
            }
            throw error;
        }
    }

    /** Forget the ids that could not be used again anyway. */
    public async forget(stored: IPersistenceRead, persis: IPersistence): Promise<void> {
        const records = (await stored.readByAssociation(SEEN)) as Array<{ id: string; at: number }>;
        const before = Date.now() - REMEMBERED_MS;
        for (const each of records.filter((one) => one.at < before)) {
            await persis.removeByAssociation(seenOf(each.id));
        }
    }

    private async authenticate(
        request: IApiRequest,
        options: Options,
        read: IRead,
        persis: IPersistence,
    ): Promise<Table> {
        const payload = request.content ? request.content.payload : undefined;
        if (options.problem) {
            throw new Refusal(503, 'the app is not configured');
        }
        if (typeof payload !== 'string') {
            throw new Refusal(400, 'send {"payload": "JSON text"}');
        }
        const why = whyRefused(options.key, request.headers, payload, Date.now());
        if (why) {
            throw new Refusal(401, why);
        }
        await this.once(header(request.headers, 'webhook-id'), read, persis);
        let asked: unknown;
        try {
            asked = JSON.parse(payload);
        } catch (error) {
            throw new Refusal(400, 'the payload is not JSON');
        }
        if (typeof asked !== 'object' || asked === null || (asked as Table).app !== this.appId) {
            throw new Refusal(400, 'the payload is not for this app');
        }
        return asked as Table;
    }

    private async once(id: string, read: IRead, persis: IPersistence): Promise<void> {
        if (this.now.has(id)) {
            throw new Refusal(409, 'this webhook-id was used before');
        }
        this.now.add(id);
        try {
            if ((await read.getPersistenceReader().readByAssociation(seenOf(id))).length) {
                throw new Refusal(409, 'this webhook-id was used before');
            }
            await persis.createWithAssociations({ id, at: Date.now() }, [SEEN, seenOf(id)]);
        } finally {
            this.now.delete(id);
        }
    }

    private async carryOut(asked: Table, read: IRead, modify: IModify): Promise<Table> {
        if (asked.action === 'ping') {
            return this.ping(read.getPersistenceReader());
        }
        if (asked.action !== 'message.update' && asked.action !== 'message.remove_buttons') {
            throw new Refusal(400, 'unknown action');
        }
        const message = await read.getMessageReader().getById(String(asked.message || ''));
        if (!message || !message.id || !isLivechat(message.room) || message.room.id !== asked.room) {
            throw new Refusal(404, 'no such message in a livechat room of this id');
        }
        const editor = await read.getUserReader().getAppUser(this.appId);
        if (!editor) {
            throw new Refusal(503, 'the app has no user');
        }
        const updater = modify.getUpdater();
        const builder = await updater.message(message.id, editor);
        builder.setEditor(editor);
        if (asked.action === 'message.remove_buttons') {
            const left = withoutButtons(message);
            builder.setBlocks(left.blocks as never);
            builder.setAttachments(left.attachments);
        } else {
            if (typeof asked.text === 'string') {
                builder.setText(asked.text);
            }
            if (asked.blocks !== undefined) {
                builder.setBlocks(withAppId(listOf(asked.blocks, 'blocks'), this.appId) as never);
            }
            if (asked.attachments !== undefined) {
                builder.setAttachments(listOf(asked.attachments, 'attachments') as Array<IMessageAttachment>);
            }
        }
        await updater.finish(builder);
        return { message: message.id };
    }
}

function listOf(value: unknown, name: string): Array<Table> {
    const isList = Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null);
    if (!isList || (value as Array<unknown>).length > MOST_BLOCKS) {
        throw new Refusal(400, `${name} must be a list of at most ${MOST_BLOCKS} objects`);
    }
    return value as Array<Table>;
}
