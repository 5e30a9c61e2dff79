export {
  ChatError,
  type ChatEvent,
  createTwinchatClient,
  type MessageRequest,
  type StreamOptions,
  type TwinchatClient,
} from "./client.ts";
export { EventParser, readEvents, type ServerEvent } from "./events.ts";
export type { components, operations, paths } from "./schema.ts";
