import type { ILogger } from '@rocket.chat/apps-engine/definition/accessors';

import type { Level } from './settings';

const RANKS: { [level in Level]: number } = { error: 0, info: 1, debug: 2 };

/** The app's log, from the level of the settings on. Never a secret, a visitor's word or a body. */
export class Log {
    public level: Level = 'info';

    private said = '';

    constructor(private readonly logger: () => ILogger) {}

    public error(text: string): void {
        this.logger().error(text);
    }

    public info(text: string): void {
        if (RANKS[this.level] >= RANKS.info) {
            this.logger().info(text);
        }
    }

    public debug(text: string): void {
        if (RANKS[this.level] >= RANKS.debug) {
            this.logger().debug(text);
        }
    }

    /** Said again only when it changes. */
    public once(text: string): void {
        if (text !== this.said) {
            this.said = text;
            if (text) {
                this.logger().warn(text);
            }
        }
    }
}
