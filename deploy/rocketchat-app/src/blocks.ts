import type { IMessage, IMessageAttachment } from '@rocket.chat/apps-engine/definition/messages';

import type { Table } from './shapes';

/** Blocks of a message. A click on an element is sent to the app that its `appId` names, so each must name us. */

const INTERACTIVE = /^(button|overflow|.*select|datepicker|.*_input|linear_scale|.*checkbox.*|radio.*|toggle.*|timepicker)$/;

/** Begins the ids of blocks that stay when another one was used. */
const KEEPS = 'ob1.keep.';

export function withAppId(blocks: Array<Table>, appId: string): Array<Table> {
    return blocks.map((block) => {
        if (Array.isArray(block.render)) {
            return { ...block, render: withAppId(block.render as Array<Table>, appId) };
        }
        const mine: Table = { ...block, appId };
        if (Array.isArray(block.elements)) {
            mine.elements = block.elements.map((each) => owned(each, appId));
        }
        for (const name of ['accessory', 'element']) {
            if (block[name]) {
                mine[name] = owned(block[name], appId);
            }
        }
        return mine;
    });
}

/** What is left when it was used: words and pictures stay, whatever can be clicked or filled in goes. */
export function withoutButtons(message: IMessage): { blocks: Array<Table>; attachments: Array<IMessageAttachment> } {
    const blocks = left((message.blocks || []) as unknown as Array<Table>);
    const attachments = (message.attachments || []).map((each) => ({ ...each, actions: [] }));
    return { blocks, attachments };
}

/** Blocks for one side only (`conditional`) are looked into. What may be used again has an id of ours that says so. */
function left(blocks: Array<Table>): Array<Table> {
    const found: Array<Table> = [];
    for (const each of blocks) {
        if (String(each.blockId).startsWith(KEEPS)) {
            found.push(each);
            continue;
        }
        if (Array.isArray(each.render)) {
            found.push({ ...each, render: left(each.render as Array<Table>) });
            continue;
        }
        if (each.type === 'actions' || each.type === 'input') {
            continue;
        }
        const { accessory, ...rest } = each;
        const isUsed = accessory && INTERACTIVE.test(String((accessory as Table).type));
        found.push(accessory && !isUsed ? each : rest);
    }
    return found;
}

function owned(element: unknown, appId: string): unknown {
    return typeof element === 'object' && element !== null ? { ...(element as Table), appId } : element;
}
