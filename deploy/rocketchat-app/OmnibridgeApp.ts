import type {
    IAppAccessors,
    IConfigurationExtend,
    IEnvironmentRead,
    IHttp,
    ILogger,
    IModify,
    IPersistence,
    IRead,
} from '@rocket.chat/apps-engine/definition/accessors';
import type { IApiEndpointInfo, IApiRequest, IApiResponse } from '@rocket.chat/apps-engine/definition/api';
import { ApiSecurity, ApiVisibility } from '@rocket.chat/apps-engine/definition/api';
import { App } from '@rocket.chat/apps-engine/definition/App';
import type {
    ILivechatEventContext,
    ILivechatRoom,
    ILivechatTransferEventContext,
    IPostLivechatAgentAssigned,
    IPostLivechatAgentUnassigned,
    IPostLivechatDepartmentDisabled,
    IPostLivechatDepartmentRemoved,
    IPostLivechatGuestSaved,
    IPostLivechatRoomClosed,
    IPostLivechatRoomStarted,
    IPostLivechatRoomTransferred,
    IVisitor,
} from '@rocket.chat/apps-engine/definition/livechat';
import type { ILivechatDepartmentEventContext } from '@rocket.chat/apps-engine/definition/livechat/ILivechatEventContext';
import type {
    IMessage,
    IPostMessageDeleted,
    IPostMessageSent,
    IPostMessageUpdated,
} from '@rocket.chat/apps-engine/definition/messages';
import type { IAppInfo } from '@rocket.chat/apps-engine/definition/metadata';
import type { IRoom } from '@rocket.chat/apps-engine/definition/rooms';
import type { IJobContext } from '@rocket.chat/apps-engine/definition/scheduler';
import { StartupType } from '@rocket.chat/apps-engine/definition/scheduler';
import { RoomTypeFilter, UIActionButtonContext } from '@rocket.chat/apps-engine/definition/ui';
import type {
    IUIKitInteractionHandler,
    IUIKitResponse,
    UIKitActionButtonInteractionContext,
    UIKitBlockInteractionContext,
} from '@rocket.chat/apps-engine/definition/uikit';
import type {
    IUIKitLivechatInteractionHandler,
    UIKitLivechatBlockInteractionContext,
} from '@rocket.chat/apps-engine/definition/uikit/livechat';

import { ASSIST, assistView } from './src/assist';
import { Log } from './src/log';
import { Outbox } from './src/outbox';
import { Queues } from './src/queue';
import { BridgeRequests } from './src/requests';
import type { Group, Options } from './src/settings';
import { readOptions, SETTINGS } from './src/settings';
import type { Table } from './src/shapes';
import { actorOf, departmentOf, isLivechat, messageOf, roomOf, userOf, visitorOf } from './src/shapes';

const EVERY = '10 seconds';
const OPTIONS_KEPT_MS = 5000;

/**
 * The companion app: tells the bridge of livechat, and changes messages for it. A handler stores its event and is done:
 * the sending is not waited for, and a bridge that is down, slow or wrong changes nothing for whoever writes.
 */
export class OmnibridgeApp
    extends App
    implements
        IPostLivechatRoomStarted,
        IPostLivechatRoomClosed,
        IPostLivechatRoomTransferred,
        IPostLivechatAgentAssigned,
        IPostLivechatAgentUnassigned,
        IPostLivechatGuestSaved,
        IPostLivechatDepartmentRemoved,
        IPostLivechatDepartmentDisabled,
        IPostMessageSent,
        IPostMessageUpdated,
        IPostMessageDeleted,
        IUIKitInteractionHandler,
        IUIKitLivechatInteractionHandler
{
    private readonly log = new Log(() => this.getLogger());

    private readonly outbox = new Outbox(this.log);

    private readonly arrivals = new Queues();

    private readonly requests = new BridgeRequests(this.getID(), async (stored) => ({
        app: this.getID(),
        version: this.getVersion(),
        outbox: await this.outbox.state(stored),
    }));

    private options?: Promise<Options>;

    private optionsAt = 0;

    private site?: string;

    private myId?: string;

    constructor(info: IAppInfo, logger: ILogger, accessors?: IAppAccessors) {
        super(info, logger, accessors);
    }

    public async executePostLivechatRoomStarted(
        room: ILivechatRoom, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        await this.tell('rooms', 'room.started', room, {}, read, http, persis);
    }

    public async executePostLivechatRoomClosed(
        room: ILivechatRoom, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        await this.tell('rooms', 'room.closed', room, {}, read, http, persis);
    }

    /** from may be undefined. from and to are users or departments, as `type` says. */
    public async executePostLivechatRoomTransferred(
        context: ILivechatTransferEventContext, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        const isAgent = String(context.type) === 'agent';
        const shape = (each: unknown): Table | undefined =>
            isAgent ? userOf(each as never) : departmentOf(each as never);
        const data = { scope: context.type, from: shape(context.from), to: shape(context.to) };
        await this.tell('agents', 'room.transferred', context.room, data, read, http, persis);
    }

    public async executePostLivechatAgentAssigned(
        context: ILivechatEventContext, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        const data = { agent: userOf(context.agent) };
        await this.tell('agents', 'agent.assigned', context.room, data, read, http, persis);
    }

    public async executePostLivechatAgentUnassigned(
        context: ILivechatEventContext, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        const data = { agent: userOf(context.agent) };
        await this.tell('agents', 'agent.unassigned', context.room, data, read, http, persis);
    }

    public async executePostLivechatGuestSaved(
        visitor: IVisitor, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        await this.tell('guests', 'guest.saved', undefined, { visitor: visitorOf(visitor) }, read, http, persis);
    }

    public async executePostLivechatDepartmentRemoved(
        context: ILivechatDepartmentEventContext, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        const data = { department: departmentOf(context.department) };
        await this.tell('departments', 'department.removed', undefined, data, read, http, persis);
    }

    public async executePostLivechatDepartmentDisabled(
        context: ILivechatDepartmentEventContext, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        const data = { department: departmentOf(context.department) };
        await this.tell('departments', 'department.disabled', undefined, data, read, http, persis);
    }

    public async checkPostMessageSent(message: IMessage): Promise<boolean> {
        return isLivechat(message.room);
    }

    public async executePostMessageSent(
        message: IMessage, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        await this.tellMessage('message.posted', message, message.sender, read, http, persis);
    }

    public async checkPostMessageUpdated(message: IMessage): Promise<boolean> {
        return isLivechat(message.room);
    }

    public async executePostMessageUpdated(
        message: IMessage, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        await this.tellMessage('message.updated', message, message.editor || message.sender, read, http, persis);
    }

    public async checkPostMessageDeleted(message: IMessage): Promise<boolean> {
        return isLivechat(message.room);
    }

    public async executePostMessageDeleted(
        message: IMessage, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        await this.tellMessage('message.deleted', message, undefined, read, http, persis);
    }

    /** Somebody of the workspace clicked. The answer comes later, as a change of the message. */
    public async executeBlockActionHandler(
        context: UIKitBlockInteractionContext, read: IRead, http: IHttp, persistence: IPersistence,
    ): Promise<IUIKitResponse> {
        const told = context.getInteractionData();
        await this.tellInteraction(told, { user: actorOf(told.user) }, read, http, persistence);
        return context.getInteractionResponder().successResponse();
    }

    /** The visitor clicked, in the widget. */
    public async executeLivechatBlockActionHandler(
        context: UIKitLivechatBlockInteractionContext, read: IRead, http: IHttp, persistence: IPersistence,
    ): Promise<IUIKitResponse> {
        const told = context.getInteractionData();
        await this.tellInteraction(told, { visitor: visitorOf(told.visitor) }, read, http, persistence);
        return context.getInteractionResponder().successResponse();
    }

    public async executeActionButtonHandler(
        context: UIKitActionButtonInteractionContext, read: IRead, http: IHttp,
    ): Promise<IUIKitResponse> {
        const told = context.getInteractionData();
        if (told.actionId !== ASSIST) {
            return context.getInteractionResponder().successResponse();
        }
        const options = await this.current(read.getEnvironmentReader());
        const view = await assistView(told.room, told.user, this.getID(), options, http);
        return context.getInteractionResponder().openContextualBarViewResponse(view);
    }

    protected async extendConfiguration(configuration: IConfigurationExtend): Promise<void> {
        for (const each of SETTINGS) {
            await configuration.settings.provideSetting(each);
        }
        await configuration.api.provideApi({
            visibility: ApiVisibility.PUBLIC,
            security: ApiSecurity.UNSECURE, // the only value there is: the signature is checked by us
            endpoints: [{ path: 'bridge', post: this.answer.bind(this) }],
        });
        await configuration.scheduler.registerProcessors([
            {
                id: 'omnibridge-outbox',
                startupSetting: { type: StartupType.RECURRING, interval: EVERY },
                processor: this.work.bind(this),
            },
        ]);
        await configuration.ui.registerButton({
            actionId: ASSIST,
            labelI18n: 'assist_button',
            context: UIActionButtonContext.ROOM_ACTION,
            when: { roomTypes: [RoomTypeFilter.LIVE_CHAT] },
        });
    }

    /** Changed settings hold from the next event on. */
    public async onSettingUpdated(): Promise<void> {
        this.options = undefined;
    }

    private async answer(
        request: IApiRequest, _endpoint: IApiEndpointInfo, read: IRead, modify: IModify, _http: IHttp,
        persis: IPersistence,
    ): Promise<IApiResponse> {
        const options = await this.current(read.getEnvironmentReader());
        return this.requests.answer(request, options, read, modify, persis);
    }

    private async work(
        _job: IJobContext, read: IRead, _modify: IModify, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        const options = await this.current(read.getEnvironmentReader());
        const stored = read.getPersistenceReader();
        await this.requests.forget(stored, persis);
        if (!options.problem) {
            await this.outbox.drain(options, await this.siteOf(read), { http, persis, stored });
        }
    }

    private async tellMessage(
        kind: string, message: IMessage, by: { id?: string } | undefined, read: IRead, http: IHttp,
        persis: IPersistence,
    ): Promise<void> {
        if (!isLivechat(message.room)) {
            return;
        }
        const isOurs = async (): Promise<boolean> => !!by && !!by.id && by.id === (await this.me(read));
        await this.tell('messages', kind, message.room, { message: messageOf(message) }, read, http, persis, isOurs);
    }

    private async tellInteraction(
        told: {
            actionId: string; blockId: string; value?: string; triggerId: string; container: object;
            message?: IMessage; room?: IRoom;
        },
        who: Table, read: IRead, http: IHttp, persis: IPersistence,
    ): Promise<void> {
        const room = told.room || (told.message && told.message.room);
        if (!isLivechat(room)) {
            this.log.debug('a click outside of livechat: not told');
            return;
        }
        const data = {
            ...who,
            action_id: told.actionId,
            block_id: told.blockId,
            value: told.value,
            trigger_id: told.triggerId,
            container: told.container,
            message: told.message && messageOf(told.message),
        };
        await this.tell('interactions', 'interaction', room, data, read, http, persis);
    }

    /**
     * Store it, then send it without being waited for. Never rejects: nothing of ours may end in somebody's error.
     * Called before the handler waits for anything, so that events of a room are stored in the order of their calls.
     */
    private tell(
        group: Group, kind: string, room: IRoom | undefined, data: Table, read: IRead, http: IHttp,
        persis: IPersistence, isOurs: () => Promise<boolean> = async () => false,
    ): Promise<void> {
        const at = Date.now();
        const full = room ? { ...data, room: roomOf(room) } : data;
        return this.arrivals.run(room ? room.id : '', async () => {
            try {
                const options = await this.current(read.getEnvironmentReader());
                if (options.problem || !options.groups.has(group)) {
                    return;
                }
                if (await isOurs()) {
                    this.log.debug(`${kind}: our own, for the bridge`);
                    return;
                }
                const site = await this.siteOf(read);
                const lane = await this.outbox.keep(kind, room ? room.id : '', full, site, persis, at);
                this.log.debug(`${kind} stored`);
                const ports = { http, persis, stored: read.getPersistenceReader() };
                this.outbox.push(lane, options, ports).catch(() => undefined); // it logs by itself, and never rejects
            } catch (error) {
                const why = error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 200) : 'failed';
                this.log.error(`${kind} could not be stored and is lost: ${why}`);
            }
        });
    }

    private async current(environment: IEnvironmentRead): Promise<Options> {
        const now = Date.now();
        if (!this.options || Math.abs(now - this.optionsAt) > OPTIONS_KEPT_MS) {
            this.optionsAt = now;
            this.options = readOptions(environment);
            this.options.catch(() => {
                this.options = undefined;
            });
        }
        const options = await this.options;
        this.log.level = options.level;
        this.log.once(options.problem && `nothing is sent: ${options.problem}`);
        return options;
    }

    /** The workspace's own address, so that a bridge of several can tell them apart. */
    private async siteOf(read: IRead): Promise<string> {
        if (this.site === undefined) {
            const found = await read.getEnvironmentReader().getServerSettings().getValueById('Site_Url');
            this.site = String(found || '');
        }
        return this.site;
    }

    private async me(read: IRead): Promise<string> {
        if (this.myId === undefined) {
            const user = await read.getUserReader().getAppUser(this.getID());
            this.myId = (user && user.id) || '';
        }
        return this.myId;
    }
}
