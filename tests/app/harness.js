'use strict';
/**
 * The compiled app outside of a server: the files of the zip (folder in APP_DIR) with accessors of ours, which record
 * each call, throw on what is not faked, and know nothing of time but `clock.ms`.
 */
const { createHmac, randomBytes } = require('crypto');
const Module = require('module');
const path = require('path');

const PROJECT = path.join(__dirname, '..', '..', 'deploy', 'rocketchat-app');
const APP_DIR = process.env.APP_DIR;
const MANIFEST = require(path.join(APP_DIR, 'app.json'));
const ENGINE = '@rocket.chat/apps-engine/';
/** What the server's runtime lets an app require. */
const ALLOWED = 'path url crypto buffer stream net http https zlib util punycode os querystring fs uuid'.split(' ');

const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, parent, ...rest) {
    const isOfApp = parent && parent.filename && parent.filename.startsWith(APP_DIR + path.sep);
    if (isOfApp && !request.startsWith('.') && !request.startsWith(ENGINE) && !ALLOWED.includes(request)) {
        throw new Error(`Module ${request} is not allowed`);
    }
    if (request.startsWith(ENGINE)) {
        return resolve.call(this, path.join(PROJECT, 'node_modules', request), parent, ...rest);
    }
    return resolve.call(this, request, parent, ...rest);
};

const clock = { ms: Date.parse('2026-01-31T12:00:00Z') };
Date.now = () => clock.ms;

const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`;
const URL = 'https://bridge.example.com/webhooks/rocketchat-app/main';
const APP_USER = { id: 'appUser', username: 'omnibridge.bot', name: 'Omnibridge', type: 'app' };

function sign(secret, id, seconds, body) {
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`;
}

/** One workspace with the app in it. answer(request) -> status or {statusCode, data} or a promise; may throw. */
class Host {
    constructor({ settings = {}, answer = () => 200, store = [] } = {}) {
        this.calls = new Set();
        this.logs = [];
        this.requests = [];
        this.records = store;
        this.answer = answer;
        this.settings = new Map();
        this.values = { bridge_url: URL, bridge_secret: SECRET, ...settings };
        this.messages = new Map();
        this.finished = [];
        this.changes = new Map();
        this.apis = [];
        this.jobs = [];
        this.buttons = [];
        this.pending = new Set();
        this.storageFails = false;
        this.appUser = async () => APP_USER;
    }

    async start() {
        const loaded = require(path.join(APP_DIR, MANIFEST.classFile.replace(/\.ts$/, '.js')));
        const AppClass = Object.values(loaded)[0]; // what the server takes
        const logger = new Proxy({}, { get: (_, level) => (...args) => this.logs.push([level, args.join(' ')]) });
        this.read = this.faked('read', {
            getEnvironmentReader: () => this.environment(),
            getPersistenceReader: () => this.stored(),
            getUserReader: () => this.faked('userReader', { getAppUser: () => this.appUser() }),
            getMessageReader: () => this.faked('messageReader', { getById: async (id) => this.messages.get(id) }),
        });
        this.http = this.faked('http', { post: (url, options) => this.post(url, options) });
        this.persis = this.persistence();
        this.modify = this.faked('modify', { getUpdater: () => this.updater() });
        const accessors = { environmentReader: this.environment(), reader: this.read, http: this.http, providedApiEndpoints: [] };
        this.app = new AppClass(MANIFEST, logger, accessors);
        await this.app.initialize(this.configuration(), this.environment());
        this.enabled = await this.app.onEnable(this.environment(), {});
        return this;
    }

    /** Call a handler as the server does: check first, then execute, with accessors. Not waited for by anybody there. */
    async fire(name, context, ...more) {
        const check = name.replace(/^execute/, 'check');
        if (typeof this.app[check] === 'function' && !(await this.app[check](context, this.read, this.http))) {
            return undefined;
        }
        return this.app[name](context, this.read, this.http, this.persis, this.modify, ...more);
    }

    /** The scheduler's tick. */
    tick() {
        return this.jobs[0].processor({}, this.read, this.modify, this.http, this.persis);
    }

    /** Until no request is under way and nothing follows. */
    async settle() {
        for (let quiet = 0; quiet < 20; quiet += 1) {
            if (this.pending.size) {
                await Promise.allSettled([...this.pending]);
                quiet = 0;
            }
            await new Promise((done) => setImmediate(done));
        }
    }

    /** The bridge asks the app. */
    ask(asked, { id = randomBytes(8).toString('hex'), at = clock.ms, secret = SECRET, headers = {} } = {}) {
        const payload = typeof asked === 'string' ? asked : JSON.stringify({ app: MANIFEST.id, ...asked });
        const seconds = Math.floor(at / 1000);
        const signed = {
            'webhook-id': id,
            'webhook-timestamp': String(seconds),
            'webhook-signature': sign(secret, id, seconds, payload),
            ...headers,
        };
        return this.endpoint({ method: 'post', headers: signed, query: {}, params: {}, content: { payload } });
    }

    endpoint(request) {
        return this.apis[0].endpoints[0].post(request, {}, this.read, this.modify, this.http, this.persis);
    }

    get waiting() {
        return this.records.filter((each) => each.associations.includes('misc:outbox')).length;
    }

    get envelopes() {
        return this.requests.filter((each) => each.url === URL && each.status === 200).map((each) => each.envelope);
    }

    // -- accessors ----------------------------------------------------------------------------------------

    faked(name, methods) {
        const { calls } = this;
        return new Proxy(methods, {
            get(target, method) {
                if (typeof method === 'symbol' || method === 'then') {
                    return undefined;
                }
                if (!(method in target)) {
                    throw new Error(`${name}.${method} is not faked`);
                }
                return (...args) => {
                    calls.add(`${name}.${method}`);
                    return target[method](...args);
                };
            },
        });
    }

    async post(url, options) {
        const request = { url, options, at: clock.ms, envelope: JSON.parse(options.content) };
        this.requests.push(request);
        const work = (async () => {
            const given = await this.answer(request);
            const answer = typeof given === 'number' ? { statusCode: given } : given;
            request.status = answer.statusCode;
            return { url, method: 'post', headers: {}, content: JSON.stringify(answer.data || ''), ...answer };
        })();
        this.pending.add(work);
        const forget = () => this.pending.delete(work);
        work.then(forget, forget);
        return work;
    }

    environment() {
        return this.faked('environment', {
            getSettings: () =>
                this.faked('settings', {
                    getValueById: async (id) => (id in this.values ? this.values[id] : this.settings.get(id).packageValue),
                }),
            getServerSettings: () =>
                this.faked('serverSettings', { getValueById: async () => 'https://chat.example.com' }),
        });
    }

    /** In no order, and copies: as a database gives them. */
    stored() {
        const find = async (wanted) => {
            const found = this.records.filter((each) => each.associations.includes(wanted));
            return found.map((each) => JSON.parse(JSON.stringify(each.data))).sort(() => Math.random() - 0.5);
        };
        return this.faked('persistenceReader', { readByAssociation: (record) => find(name(record)) });
    }

    persistence() {
        const create = async (data, records) => {
            if (this.storageFails) {
                throw new Error('no database');
            }
            const id = randomBytes(8).toString('hex');
            await new Promise((done) => setImmediate(done));
            this.records.push({ id, data: JSON.parse(JSON.stringify(data)), associations: records.map(name) });
            return id;
        };
        return this.faked('persis', {
            createWithAssociations: create,
            updateByAssociation: async (record, data, upsert) => {
                const found = this.records.filter((each) => each.associations.includes(name(record)));
                found.forEach((each) => {
                    each.data = JSON.parse(JSON.stringify(data));
                });
                return found.length || !upsert ? '' : create(data, [record]);
            },
            removeByAssociation: async (record) => {
                this.records = this.records.filter((each) => !each.associations.includes(name(record)));
                return [];
            },
        });
    }

    updater() {
        return this.faked('updater', {
            message: async (id, editor) => {
                const change = { id, editor: editor.id };
                const set = (field) => (value) => {
                    change[field] = value;
                };
                const names = { setEditor: 'setEditor', setText: 'text', setBlocks: 'blocks', setAttachments: 'attachments' };
                const methods = Object.fromEntries(Object.entries(names).map(([each, field]) => [each, set(field)]));
                const builder = this.faked('messageBuilder', methods);
                this.changes.set(builder, change);
                return builder;
            },
            finish: async (builder) => {
                this.finished.push(this.changes.get(builder));
            },
        });
    }

    configuration() {
        return {
            settings: this.faked('settingsConfiguration', { provideSetting: async (each) => this.settings.set(each.id, each) }),
            api: this.faked('apiConfiguration', { provideApi: async (each) => this.apis.push(each) }),
            scheduler: this.faked('schedulerConfiguration', { registerProcessors: async (each) => this.jobs.push(...each) }),
            ui: this.faked('uiConfiguration', { registerButton: async (each) => this.buttons.push(each) }),
        };
    }
}

function name(record) {
    return `${record.getModel()}:${record.getID()}`;
}

module.exports = { APP_DIR, APP_USER, Host, MANIFEST, PROJECT, SECRET, URL, clock, sign };
