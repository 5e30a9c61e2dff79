// What server/admin/API.md describes.

export type Permission =
  `chat.${"view" | "add" | "change" | "delete"}_${"chatsession" | "message"}`;

export interface Me {
  id: number;
  username: string;
  email: string;
  first_name: string;
  last_name: string;
  is_superuser: boolean;
  permissions: Permission[];
  last_login: string | null;
}

export interface LogIn {
  user: Me | null;
  csrf_token: string | null;
  expires_at?: string;
  idle_seconds?: number;
}

export interface List<T> {
  results: T[];
  next: string | null;
  count: number | null;
  count_exact: boolean;
  total: number;
  complete: boolean;
}

export interface Details {
  user_name: string | null;
  user_email: string | null;
  user_phone: string | null;
}

export interface Session extends Details {
  id: number;
  session_id: string;
  created_at: string;
  updated_at: string;
  message_count: number;
  last_message: { id: number; preview: string; is_bot: boolean; created_at: string } | null;
  is_lead: boolean;
}

// What the visitor agreed to, with the words.
export interface Consent {
  version: string;
  language: string;
  text: string;
  given_at: string;
  withdrawn_at: string | null;
}

export interface FullSession extends Session {
  version: string;
  // Absent in what comes of a change.
  consents?: Consent[];
}

export type DateChoice = "any" | "today" | "7days" | "month" | "year";
export type DateFacets = Record<DateChoice, number>;

export interface SessionFacets {
  created: DateFacets;
  updated: DateFacets;
  leads: number;
}

export interface MessageFacets {
  created: DateFacets;
  is_bot: { any: number; yes: number; no: number };
}

export type TurnStatus =
  | "pending"
  | "complete"
  | "truncated"
  | "blocked"
  | "empty"
  | "failed"
  | "cancelled"
  | "interrupted";

export interface Usage {
  prompt_tokens: number;
  cached_tokens: number;
  output_tokens: number;
  thought_tokens: number;
  total_tokens: number;
}

// What a visitor thinks of an answer.
export type Thumb = "up" | "down";

interface WithFeedback {
  feedback: Thumb | null;
  feedback_at: string | null;
}

export interface Turn extends WithFeedback {
  id: number;
  status: TurnStatus;
  model: string;
  model_version: string;
  finish_reason: string;
  block_reason: string;
  error_code: string;
  attempts: number;
  latency_ms: number | null;
  usage: Usage | null;
  answer_id: number | null;
}

export interface ConversationMessage {
  id: number;
  content: string;
  is_bot: boolean;
  created_at: string;
  turn: Turn | null;
}

export interface Conversation {
  messages: ConversationMessage[];
  earlier: boolean;
}

export interface Message {
  id: number;
  session_id: string;
  is_bot: boolean;
  created_at: string;
  preview: string;
}

export interface FullMessage extends Message {
  content: string;
  version: string;
}

export interface TurnRow extends WithFeedback {
  id: number;
  session_id: string;
  user_name: string | null;
  status: TurnStatus;
  error_code: string;
  created_at: string;
  question: string;
  question_id: number;
  answer: string | null;
  model: string;
  attempts: number;
  latency_ms: number | null;
}

export interface AuditEntry {
  id: number;
  at: string;
  user: string | null;
  address: string;
  action: string;
  model: string;
  object_id: string | null;
  detail: string;
}

export interface Overview {
  totals: { sessions: number | null; messages: number | null; leads: number | null };
  unanswered: number | null;
  flagged: number | null;
  disliked: number | null;
  recent_actions: AuditEntry[];
}

export interface StatisticsDay {
  day: string;
  sessions: number;
  asked: number;
  leads: number;
  messages: number;
  visitor_messages: number;
  turns: number;
  complete: number;
  truncated: number;
  blocked: number;
  empty: number;
  failed: number;
  cancelled: number;
  interrupted: number;
  prompt_tokens: number;
  cached_tokens: number;
  output_tokens: number;
  thought_tokens: number;
  liked: number;
  disliked: number;
  latency_ms: { p50: number; p90: number; p99: number } | null;
}

export interface Prices {
  input: number;
  cached: number;
  output: number;
  currency: string;
}

export interface Statistics {
  days: StatisticsDay[];
  prices: Prices | null;
}

export interface User {
  id: number;
  username: string;
  email: string;
  first_name: string;
  last_name: string;
  is_active: boolean;
  is_staff: boolean;
  is_superuser: boolean;
  last_login: string | null;
  date_joined: string;
  permissions: Permission[];
}

export interface Token {
  id: number;
  name: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
}
