import { randomBytes } from 'crypto';

import type { IHttp } from '@rocket.chat/apps-engine/definition/accessors';
import type { IRoom } from '@rocket.chat/apps-engine/definition/rooms';
import type { IUIKitContextualBarViewParam } from '@rocket.chat/apps-engine/definition/uikit/UIKitInteractionResponder';
import type { IUser } from '@rocket.chat/apps-engine/definition/users';

import { withAppId } from './blocks';
import type { Options } from './settings';
import type { Table } from './shapes';
import { userOf } from './shapes';
import { signedHeaders } from './signing';

/**
 * The bar beside a conversation: its content is the bridge's, asked with a signed POST to `BRIDGE_URL/view`:
 * `{"app", "room", "user"}` -> `{"title": "...", "blocks": [...]}`; 404 = nothing is known.
 */

export const ASSIST = 'omnibridge-assist';
const TIMEOUT_MS = 2500;
const MOST_BLOCKS = 100;

const NOTHING = 'Nothing is known of this conversation yet.';
const UNREACHABLE = 'omnibridge cannot be reached at the moment. The conversation goes on without it.';
const NOT_SET_UP = 'omnibridge is not set up yet: an admin sets address and secret in the settings of this app.';
const ELSEWHERE = 'This bar is about livechat conversations.';

/** Always a view, whatever the bridge does. */
export async function assistView(
    room: IRoom | undefined,
    user: IUser,
    appId: string,
    options: Options,
    http: IHttp,
): Promise<IUIKitContextualBarViewParam> {
    if (options.problem) {
        return empty(NOT_SET_UP);
    }
    if (!room || String(room.type) !== 'l') {
        return empty(ELSEWHERE);
    }
    const body = JSON.stringify({ app: appId, room: room.id, user: userOf(user) });
    try {
        const headers = signedHeaders(options.key, `view-${randomBytes(16).toString('hex')}`, body, Date.now());
        const answer = await http.post(`${options.url}/view`, { content: body, headers, timeout: TIMEOUT_MS });
        if (answer && answer.statusCode === 404) {
            return empty(NOTHING);
        }
        if (!answer || answer.statusCode !== 200) {
            return empty(UNREACHABLE);
        }
        const found = (answer.data || JSON.parse(answer.content || '{}')) as Table;
        const blocks = Array.isArray(found.blocks) ? found.blocks.filter((each) => each && typeof each === 'object') : [];
        if (!blocks.length) {
            return empty(NOTHING);
        }
        return view(String(found.title || 'omnibridge'), withAppId(blocks.slice(0, MOST_BLOCKS) as Array<Table>, appId));
    } catch (error) {
        return empty(UNREACHABLE);
    }
}

function empty(text: string): IUIKitContextualBarViewParam {
    return view('omnibridge', [{ type: 'section', text: { type: 'plain_text', text } }]);
}

function view(title: string, blocks: Array<Table>): IUIKitContextualBarViewParam {
    return { id: ASSIST, title: { type: 'plain_text', text: title }, blocks } as unknown as IUIKitContextualBarViewParam;
}
