// The admin's part of the OpenAPI document, by the names that the pages use.
import type { components } from "twinchat-client/schema.ts";

type Schemas = components["schemas"];

export type Permission = Schemas["Permission"];
export type Me = Schemas["Me"];
export type LogIn = Schemas["LogIn"];

// A page of a list; `total` where the list has one.
export interface List<T> extends Omit<Schemas["SessionPage"], "results"> {
  results: T[];
}

export type Session = Schemas["AdminSession"];
export type FullSession = Schemas["FullSession"];
export type Details = Pick<Session, "user_name" | "user_email" | "user_phone">;

export type DateFacets = Schemas["DateFacets"];
export type DateChoice = keyof DateFacets;
export type SessionFacets = Schemas["SessionFacets"];
export type MessageFacets = Schemas["MessageFacets"];

export type TurnStatus = Schemas["TurnStatus"];
export type Usage = Schemas["Usage"];
export type Turn = Schemas["Turn"];
export type ConversationMessage = Schemas["ConversationMessage"];
export type Conversation = Schemas["Conversation"];

export type Message = Schemas["AdminMessage"];
export type FullMessage = Schemas["FullMessage"];
export type TurnRow = Schemas["TurnRow"];
export type AuditEntry = Schemas["AuditEntry"];
export type Overview = Schemas["Overview"];
export type StatisticsDay = Schemas["StatisticsDay"];
export type Prices = Schemas["Prices"];
export type Statistics = Schemas["Statistics"];
export type User = Schemas["User"];
export type Token = Schemas["Token"];

export type Consent = Schemas["Consent"];
// What a visitor thinks of an answer.
export type Thumb = NonNullable<Turn["feedback"]>;
