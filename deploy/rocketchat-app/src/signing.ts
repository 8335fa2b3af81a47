import { createHmac, timingSafeEqual } from 'crypto';

/**
 * Standard Webhooks: `webhook-signature: v1,BASE64(HMAC-SHA256(secret, "ID.SECONDS.BODY"))`. The same secret signs both
 * ways: what we send, and what the bridge asks of us.
 */

/** A request older or newer than this is refused, and ids are remembered for longer than that. */
export const WINDOW_MS = 5 * 60 * 1000;

const PREFIX = 'whsec_';
const SHORTEST = 24;
const LONGEST = 64;

/** The bytes of `whsec_BASE64`; undefined when it is no such secret. */
export function readSecret(text: string): Buffer | undefined {
    const encoded = text.trim();
    if (!encoded.startsWith(PREFIX)) {
        return undefined;
    }
    const key = Buffer.from(encoded.slice(PREFIX.length), 'base64');
    const isWhole = key.toString('base64').replace(/=+$/, '') === encoded.slice(PREFIX.length).replace(/=+$/, '');
    return isWhole && key.length >= SHORTEST && key.length <= LONGEST ? key : undefined;
}

export function signature(key: Buffer, id: string, seconds: number, body: string): string {
    return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`, 'utf8').digest('base64')}`;
}

export function signedHeaders(key: Buffer, id: string, body: string, nowMs: number): { [name: string]: string } {
    const seconds = Math.floor(nowMs / 1000);
    return {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(seconds),
        'webhook-signature': signature(key, id, seconds, body),
    };
}

/** Why a request is refused; undefined when its signature fits and its time is near. */
export function whyRefused(
    key: Buffer,
    headers: { [name: string]: string },
    body: string,
    nowMs: number,
): string | undefined {
    const id = header(headers, 'webhook-id');
    const stamp = header(headers, 'webhook-timestamp');
    const given = header(headers, 'webhook-signature');
    if (!id || id.length > 200 || !/^\d{1,12}$/.test(stamp) || !given) {
        return 'a webhook header is missing';
    }
    const expected = Buffer.from(signature(key, id, Number(stamp), body));
    const fits = given.split(' ').some((each) => {
        const one = Buffer.from(each);
        return one.length === expected.length && timingSafeEqual(one, expected);
    });
    if (!fits) {
        return 'no signature fits';
    }
    return Math.abs(nowMs - Number(stamp) * 1000) > WINDOW_MS ? 'the time stamp is too far from now' : undefined;
}

/** Servers give header names in lower case; we do not rely on it. */
export function header(headers: { [name: string]: string }, name: string): string {
    const found = Object.keys(headers || {}).find((each) => each.toLowerCase() === name);
    return found ? String(headers[found]) : '';
}
