import { randomBytes } from 'crypto';

import type { IHttp, IPersistence, IPersistenceRead } from '@rocket.chat/apps-engine/definition/accessors';
import { RocketChatAssociationModel, RocketChatAssociationRecord } from '@rocket.chat/apps-engine/definition/metadata';

import type { Log } from './log';
import { Queues } from './queue';
import type { Options } from './settings';
import type { Table } from './shapes';
import { signedHeaders } from './signing';

/**
 * What happened, kept until the bridge has it. Each event is stored before it is sent and removed after a 2xx only.
 *
 * Events of one lane (a room) go one after the other, so a lane stops at the first that is not taken. Persistence has
 * no query, order or compare-and-set: we sort, and several server instances may send the same event: its id stays the
 * same, and since each of them sends in order, the first arrivals are in order too. The bridge drops the others by id.
 */

/** One record of persistence. order: of one process within a millisecond. refusals: answers that name the event bad. */
interface Entry {
    id: string;
    lane: string;
    at: number;
    order: number;
    body: string;
    refusals: number;
    refusedAt: number;
}

/** What was given up, ever. */
interface Dropped {
    count: number;
    tooMany: number;
    tooOld: number;
    refused: number;
    firstAt: number;
    lastAt: number;
}

/** What a drain needs of the call that it runs in. */
export interface Ports {
    http: IHttp;
    persis: IPersistence;
    stored: IPersistenceRead;
}

type Outcome = 'empty' | 'stuck' | 'down' | 'late';

const TIMEOUT_MS = 5000;
const FIRST_PAUSE_MS = 5000;
const LONGEST_PAUSE_MS = 60000;
/** The runtime gives a handler 30 s. */
const BUDGET_MS = 20000;
const AT_A_TIME = 4;
/** An event that the bridge calls bad this often and this long, while it takes others, is given up. */
const MOST_REFUSALS = 5;
const REFUSED_FOR_MS = 60000;
const BAD = [400, 413, 422];
const NO_LANE = 'workspace';
const DROPPED_LANE = 'dropped';

function association(id: string): RocketChatAssociationRecord {
    return new RocketChatAssociationRecord(RocketChatAssociationModel.MISC, id);
}

const ALL = association('outbox');
const DROPPED = association('outbox-dropped');
const laneOf = (lane: string): RocketChatAssociationRecord => association(`outbox-lane:${lane}`);
const eventOf = (id: string): RocketChatAssociationRecord => association(`outbox-event:${id}`);

export class Outbox {
    private readonly sending = new Queues();

    private lastAt = 0;

    private order = 0;

    private failures = 0;

    private retryAt = 0;

    private acceptedAt = 0;

    constructor(private readonly log: Log) {}

    /** Keep an event; resolves with its lane when it is stored. Callers keep the order of a room. */
    public async keep(
        kind: string,
        room: string,
        data: Table,
        site: string,
        persis: IPersistence,
        happenedAt: number,
        id: string = randomBytes(16).toString('hex'),
    ): Promise<string> {
        this.lastAt = Math.max(this.lastAt, happenedAt);
        const at = this.lastAt;
        const order = ++this.order;
        const lane = room || (kind === 'outbox.dropped' ? DROPPED_LANE : NO_LANE);
        const envelope = { type: kind, id, at: new Date(at).toISOString(), site, rid: room, data };
        const entry: Entry = { id, lane, at, order, body: JSON.stringify(envelope), refusals: 0, refusedAt: 0 };
        await persis.createWithAssociations(entry, [ALL, laneOf(lane), eventOf(id)]);
        return lane;
    }

    /** Send what a lane holds, if the bridge is not known to be down. Never rejects. */
    public async push(lane: string, options: Options, ports: Ports): Promise<void> {
        if (Date.now() < this.retryAt) {
            return;
        }
        try {
            await this.sendLane(lane, options, ports, Date.now() + BUDGET_MS);
        } catch (error) {
            this.log.error(`outbox: ${reason(error)}`);
        }
    }

    /** Everything that waits: what is too much or too old is given up, the rest is sent. Rejects with persistence. */
    public async drain(options: Options, site: string, ports: Ports): Promise<void> {
        const now = Date.now();
        if (now < this.retryAt) {
            return;
        }
        await this.bound(options, site, ports);
        const entries = await this.inOrder(ALL, ports);
        const lanes = entries.map((each) => each.lane).filter((each, at, all) => all.indexOf(each) === at);
        if (this.failures && lanes.length) {
            // One question is enough to find out whether the bridge is back.
            const first = lanes.shift() as string;
            if ((await this.sendLane(first, options, ports, now + BUDGET_MS)) === 'down') {
                return;
            }
        }
        const work = async (): Promise<void> => {
            for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift()) {
                if ((await this.sendLane(lane, options, ports, now + BUDGET_MS)) === 'down') {
                    lanes.length = 0;
                }
            }
        };
        await Promise.all(Array.from({ length: AT_A_TIME }, work));
    }

    /** How many wait, and what was given up: for the bridge's `ping`. */
    public async state(stored: IPersistenceRead): Promise<Table> {
        const waiting = (await stored.readByAssociation(ALL)).length;
        return { waiting, dropped: await this.dropped(stored), failures: this.failures };
    }

    private sendLane(lane: string, options: Options, ports: Ports, until: number): Promise<Outcome> {
        return this.sending.run(lane, async () => {
            for (const entry of await this.inOrder(laneOf(lane), ports)) {
                const now = Date.now();
                if (now >= until) {
                    return 'late';
                }
                const status = await this.post(entry, options, ports.http);
                if (status >= 200 && status < 300) {
                    await ports.persis.removeByAssociation(eventOf(entry.id));
                    this.taken();
                } else if (BAD.indexOf(status) >= 0) {
                    if (!(await this.refused(entry, status, ports))) {
                        return 'stuck';
                    }
                } else {
                    this.down(status);
                    return 'down';
                }
            }
            return 'empty';
        });
    }

    /** The status; 0 when there was none. Non-2xx does not throw here. */
    private async post(entry: Entry, options: Options, http: IHttp): Promise<number> {
        try {
            const headers = signedHeaders(options.key, entry.id, entry.body, Date.now());
            const answer = await http.post(options.url, { content: entry.body, headers, timeout: TIMEOUT_MS });
            return answer ? answer.statusCode : 0;
        } catch (error) {
            this.log.debug(`no answer of the bridge: ${reason(error)}`);
            return 0;
        }
    }

    private taken(): void {
        if (this.failures) {
            this.log.info(`the bridge takes events again, after ${this.failures} attempts`);
        }
        this.failures = 0;
        this.retryAt = 0;
        this.acceptedAt = Date.now();
    }

    private down(status: number): void {
        const now = Date.now();
        if (now < this.retryAt) {
            return; // another lane has just found out
        }
        this.failures += 1;
        const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(10, this.failures - 1));
        this.retryAt = now + pause;
        const why = status === 401 ? '401: check the secret on both sides' : String(status || 'no answer');
        if (this.failures === 1 || status === 401) {
            this.log.info(`the bridge does not take events (${why}): they are kept and sent later`);
        }
    }

    /** True when the event is given up: only where the bridge takes others, so it is not a proxy that refuses all. */
    private async refused(entry: Entry, status: number, ports: Ports): Promise<boolean> {
        const now = Date.now();
        const isOld = entry.refusedAt > 0 && now - entry.refusedAt >= REFUSED_FOR_MS;
        if (isOld && entry.refusals + 1 >= MOST_REFUSALS && this.acceptedAt > entry.refusedAt) {
            await ports.persis.removeByAssociation(eventOf(entry.id));
            await this.giveUp([entry], 'refused', ports);
            this.log.error(`the bridge refused event ${entry.id} for good (${status}): given up`);
            return true;
        }
        const more = { ...entry, refusals: entry.refusals + 1, refusedAt: entry.refusedAt || now };
        await ports.persis.updateByAssociation(eventOf(entry.id), more);
        return false;
    }

    private async bound(options: Options, site: string, ports: Ports): Promise<void> {
        const entries = (await this.inOrder(ALL, ports)).filter((each) => each.lane !== DROPPED_LANE);
        const oldest = Date.now() - options.longestMs;
        const old = entries.filter((each) => each.at < oldest);
        const left = entries.filter((each) => each.at >= oldest);
        const many = left.slice(0, Math.max(0, left.length - options.mostEvents));
        for (const each of [...old, ...many]) {
            await ports.persis.removeByAssociation(eventOf(each.id));
        }
        await this.giveUp(old, 'tooOld', ports);
        await this.giveUp(many, 'tooMany', ports);
        await this.tell(site, ports);
    }

    private async giveUp(
        entries: Array<Entry>,
        why: 'tooMany' | 'tooOld' | 'refused',
        ports: Ports,
    ): Promise<void> {
        if (!entries.length) {
            return;
        }
        const known = await this.dropped(ports.stored);
        const times = entries.map((each) => each.at);
        const now: Dropped = {
            ...known,
            [why]: known[why] + entries.length,
            count: known.count + entries.length,
            firstAt: Math.min(known.firstAt || Infinity, ...times),
            lastAt: Math.max(known.lastAt, ...times),
        };
        await ports.persis.updateByAssociation(DROPPED, { ...now, told: false }, true);
        this.log.error(`${entries.length} events given up (${why}); ${now.count} in all`);
    }

    /** An event about what was given up, once for each count: it is of the same id if we come twice. */
    private async tell(site: string, ports: Ports): Promise<void> {
        const records = await ports.stored.readByAssociation(DROPPED);
        const record = records[0] as (Dropped & { told?: boolean }) | undefined;
        if (!record || record.told) {
            return;
        }
        for (const each of await this.inOrder(laneOf(DROPPED_LANE), ports)) {
            await ports.persis.removeByAssociation(eventOf(each.id)); // what it counted is in the new one
        }
        const { told, ...counts } = record;
        const id = `dropped-${record.firstAt}-${record.count}`;
        await this.keep('outbox.dropped', '', counts as unknown as Table, site, ports.persis, Date.now(), id);
        await ports.persis.updateByAssociation(DROPPED, { ...record, told: true });
    }

    private async dropped(stored: IPersistenceRead): Promise<Dropped> {
        const none: Dropped = { count: 0, tooMany: 0, tooOld: 0, refused: 0, firstAt: 0, lastAt: 0 };
        const found = ((await stored.readByAssociation(DROPPED))[0] || {}) as Dropped & { told?: boolean };
        const { told, ...counts } = { ...none, ...found };
        return counts;
    }

    private async inOrder(which: RocketChatAssociationRecord, ports: Ports): Promise<Array<Entry>> {
        const found = (await ports.stored.readByAssociation(which)) as Array<Entry>;
        return found.sort((a, b) => a.at - b.at || a.order - b.order || (a.id < b.id ? -1 : 1));
    }
}

function reason(error: unknown): string {
    return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 200) : 'failed';
}
