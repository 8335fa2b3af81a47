import type { IEnvironmentRead } from '@rocket.chat/apps-engine/definition/accessors';
import type { ISetting } from '@rocket.chat/apps-engine/definition/settings';
import { SettingType } from '@rocket.chat/apps-engine/definition/settings';

import { readSecret } from './signing';

/** Groups of events that the admin can switch off. */
export type Group = 'rooms' | 'agents' | 'messages' | 'guests' | 'departments' | 'interactions';
export const GROUPS: Array<Group> = ['rooms', 'agents', 'messages', 'guests', 'departments', 'interactions'];

export type Level = 'error' | 'info' | 'debug';

/** problem: why nothing is sent, empty when it is. url: without a slash at its end. */
export interface Options {
    problem: string;
    url: string;
    key: Buffer;
    groups: Set<Group>;
    level: Level;
    mostEvents: number;
    longestMs: number;
}

const HOUR_MS = 60 * 60 * 1000;
const MOST_EVENTS = 5000;
const LONGEST_HOURS = 72;

function setting(id: string, type: SettingType, packageValue: unknown, more: Partial<ISetting> = {}): ISetting {
    return {
        id,
        type,
        packageValue,
        required: false,
        public: false,
        i18nLabel: `setting_${id}`,
        i18nDescription: `setting_${id}_description`,
        ...more,
    };
}

export const SETTINGS: Array<ISetting> = [
    setting('bridge_url', SettingType.STRING, '', { required: true, section: 'section_bridge' }),
    setting('bridge_secret', SettingType.PASSWORD, '', { required: true, section: 'section_bridge' }),
    ...GROUPS.map((group) => setting(`send_${group}`, SettingType.BOOLEAN, true, { section: 'section_events' })),
    setting('outbox_events', SettingType.NUMBER, MOST_EVENTS, { section: 'section_outbox' }),
    setting('outbox_hours', SettingType.NUMBER, LONGEST_HOURS, { section: 'section_outbox' }),
    setting('log_level', SettingType.SELECT, 'info', {
        section: 'section_log',
        values: ['error', 'info', 'debug'].map((key) => ({ key, i18nLabel: `log_level_${key}` })),
    }),
];

/** As they are now. `required` is not enforced by the server, so url and secret are checked here. */
export async function readOptions(environment: IEnvironmentRead): Promise<Options> {
    const reader = environment.getSettings();
    const values: { [id: string]: unknown } = {};
    await Promise.all(
        SETTINGS.map(async (each) => {
            values[each.id] = await reader.getValueById(each.id);
        }),
    );
    const url = String(values.bridge_url || '').trim().replace(/\/+$/, '');
    const key = readSecret(String(values.bridge_secret || ''));
    let problem = '';
    if (!/^https?:\/\/[^\s/@?#]+(\/[^\s?#]*)?$/.test(url)) {
        problem = 'set the address of the bridge: https://HOST/webhooks/rocketchat-app/WORKSPACE';
    } else if (!key) {
        problem = 'set the secret of the bridge: whsec_ and the base64 of 24 to 64 bytes';
    }
    const level = String(values.log_level);
    return {
        problem,
        url,
        key: key || Buffer.alloc(0),
        groups: new Set(GROUPS.filter((group) => values[`send_${group}`] !== false)),
        level: level === 'error' || level === 'debug' ? level : 'info',
        mostEvents: within(values.outbox_events, 100, 50000, MOST_EVENTS),
        longestMs: within(values.outbox_hours, 1, 720, LONGEST_HOURS) * HOUR_MS,
    };
}

function within(value: unknown, least: number, most: number, otherwise: number): number {
    const found = Number(value);
    return Number.isFinite(found) && found > 0 ? Math.min(most, Math.max(least, Math.floor(found))) : otherwise;
}
