"""The library's values as frozen dataclasses: equality, copies, pickling, dataclasses.replace() and
pattern matching come with that.

Their repr() ends up in logs and tracebacks. It therefore leaves out what visitors say and tell
about themselves, and shows of a session's public name no more than its beginning.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Union

from ._errors import Blocked, Cancelled, ErrorCode, Internal, TwinchatError, class_of

if TYPE_CHECKING:
    from ._twinchat import StopToken

# What functions and options take where the library has a duration: a timedelta, or seconds. What it
# gives is always a timedelta.
Duration = Union[timedelta, float]


class Keep(enum.Enum):
    """The type of KEEP."""

    KEEP = "keep"

    def __repr__(self) -> str:
        return "KEEP"


#: For a detail that is to stay as it is, in update_user() and UserDetailsUpdate.
KEEP = Keep.KEEP


class Role(enum.Enum):
    """Who speaks. A function's response goes in a user content."""

    USER = "user"
    MODEL = "model"


class TurnStatus(enum.Enum):
    """How a turn ended. The values are those that are stored."""

    PENDING = "pending"  # the model is being asked
    COMPLETE = "complete"  # answered
    TRUNCATED = "truncated"  # answered, but the answer was cut
    BLOCKED = "blocked"  # the model refused; the answer is the configured refusal
    EMPTY = "empty"  # the model said nothing, even when asked again
    FAILED = "failed"  # the model could not be asked, or broke
    CANCELLED = "cancelled"  # stopped by the caller; the answer is what had come by then
    INTERRUPTED = "interrupted"  # the process died meanwhile


class Feedback(enum.Enum):
    """What the visitor thinks of an answer."""

    NONE = "none"  # nothing was said, or it was taken back
    UP = "up"
    DOWN = "down"


class FinishReason(enum.Enum):
    """Why the model stopped. The raw string is always kept beside it, for the list grows."""

    NONE = "none"  # none was given: the answer was cut
    STOP = "stop"  # a natural end
    MAX_TOKENS = "max_tokens"  # the cap on output was hit
    CONTINUATION = "continuation"  # there would be more, under a token that is not followed
    SAFETY = "safety"  # these withdraw the answer
    RECITATION = "recitation"
    LANGUAGE = "language"
    BLOCKLIST = "blocklist"
    PROHIBITED_CONTENT = "prohibited_content"
    SPII = "spii"
    MODEL_ARMOR = "model_armor"
    MALFORMED_FUNCTION_CALL = "malformed_function_call"  # these are faults of the model
    UNEXPECTED_TOOL_CALL = "unexpected_tool_call"
    TOO_MANY_TOOL_CALLS = "too_many_tool_calls"
    MALFORMED_RESPONSE = "malformed_response"
    MISSING_THOUGHT_SIGNATURE = "missing_thought_signature"
    IMAGE = "image"  # one of the reasons of image models
    OTHER = "other"
    UNRECOGNIZED = "unrecognized"  # a value this version does not know


class BegunTurnKind(enum.Enum):
    """What Store.begin_turn found or made."""

    NEW = "new"  # a new message and a new pending turn
    RESUMED = "resumed"  # the key's earlier turn got no answer: its message stands
    REPLAYED = "replayed"  # the key's earlier turn has its answer: nothing was written


# Metadata of fields for words of a visitor or a model, and for the public name of a session: who
# knows it may read the conversation.
_WORDS = {"shown": lambda value: f"<{len(value)} characters>" if value else repr(value)}
_NAME = {"shown": lambda value: f"'{value[:8]}...'" if len(value) > 8 else repr(value)}


class _Value:
    """The repr() of all values."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = []
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            show = each.metadata.get("shown") if isinstance(value, str) else None
            shown.append(f"{each.name}={show(value) if show else repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, slots=True, repr=False)
class UserDetails(_Value):
    """What a visitor told about themself. None was never given; an empty string was."""

    name: str | None = field(default=None, metadata=_WORDS)  # at most 255 code points
    email: str | None = field(default=None, metadata=_WORDS)  # an address of at most 254
    phone: str | None = field(default=None, metadata=_WORDS)  # at most 20


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class UserDetailsUpdate(_Value):
    """A change to the details of a session: None clears a field, KEEP leaves it as it is."""

    name: str | None | Keep = field(default=KEEP, metadata=_WORDS)
    email: str | None | Keep = field(default=KEEP, metadata=_WORDS)
    phone: str | None | Keep = field(default=KEEP, metadata=_WORDS)


@dataclass(frozen=True, slots=True, repr=False)
class FieldProblem(_Value):
    """One thing wrong with one field, in words for the person who filled it in."""

    field: str  # "name", "email" or "phone"
    message: str  # "Enter a valid email address."


@dataclass(frozen=True, slots=True, repr=False)
class Session(_Value):
    """One visitor's conversation."""

    id: int  # the row
    session_id: str = field(metadata=_NAME)  # the public name, a random UUID
    user: UserDetails
    created_at: datetime  # UTC, as every time
    updated_at: datetime  # the last message or change of details


@dataclass(frozen=True, slots=True, repr=False)
class Message(_Value):
    """One thing that was said."""

    id: int  # grows within a session
    text: str = field(metadata=_WORDS)
    is_bot: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Usage(_Value):
    """Tokens as the model counted them; 0 where it said nothing."""

    prompt_tokens: int = 0  # includes cached_tokens
    cached_tokens: int = 0
    output_tokens: int = 0  # the visible answer
    thought_tokens: int = 0  # billed like output
    total_tokens: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Turn(_Value):
    """A question and what became of it."""

    id: int
    session_id: str = field(metadata=_NAME)
    status: TurnStatus
    user_message: Message
    answer: Message | None = None  # what the visitor was answered
    finish_reason: FinishReason = FinishReason.NONE
    finish_reason_raw: str = ""  # as the model spelled it
    block_reason: str = ""  # why the prompt itself was refused, as the model spelled it
    model: str = ""  # the model that was asked last
    model_version: str = ""  # the one that says it answered
    response_id: str = ""
    usage: Usage = Usage()
    latency: timedelta = timedelta(0)  # of the model call with all its attempts
    attempts: int = 0
    error_code: str = ""  # for failed turns: the name of the ErrorCode
    replayed: bool = False  # the stored answer to an earlier send with the same idempotency key
    feedback: Feedback = Feedback.NONE  # what the visitor thinks of the answer
    feedback_at: datetime | None = None  # when that was said; None for Feedback.NONE

    @property
    def text(self) -> str:
        """The answer's text; empty when there is none."""
        return self.answer.text if self.answer else ""

    def raise_for_status(self) -> Turn:
        """This turn, for those who want an answer or an exception: Blocked when the model refused,
        Cancelled when it was stopped, and for turns without an answer, as history() has them, the
        class of their error_code (Internal when they have none)."""
        if self.status in (TurnStatus.PENDING, TurnStatus.COMPLETE, TurnStatus.TRUNCATED):
            return self
        made: type[TwinchatError] = Internal
        sentence = "The question got no answer."
        if self.status is TurnStatus.BLOCKED:
            made, sentence = Blocked, "The model refused to answer."
        elif self.status is TurnStatus.CANCELLED:
            made, sentence = Cancelled, "The answer was stopped."
        elif self.error_code:
            made = class_of(ErrorCode[self.error_code])
        raise made(
            sentence,
            reason=self.block_reason or self.finish_reason_raw,
            model=self.model,
            response_id=self.response_id,
            attempts=self.attempts,
        )


@dataclass(frozen=True, slots=True, repr=False)
class Consent(_Value):
    """A visitor's agreement to something, kept as evidence."""

    id: int  # grows within a session
    version: str  # the program's name for the words
    language: str  # in which they were shown, as "en"
    text: str  # the words themselves
    given_at: datetime
    withdrawn_at: datetime | None = None  # None: it stands


@dataclass(frozen=True, slots=True, repr=False)
class FunctionCall(_Value):
    """The model asks for a function of ours to be called."""

    id: str = ""  # the model's id for this call; empty on models that give none
    name: str = ""
    args_json: str = field(default="{}", metadata=_WORDS)  # a JSON object


@dataclass(frozen=True, slots=True, repr=False)
class FunctionResponse(_Value):
    """What our function gave back."""

    id: str = ""  # the id of the call that it answers
    name: str = ""  # and its name
    response_json: str = field(default="{}", metadata=_WORDS)  # a JSON object


@dataclass(frozen=True, slots=True, repr=False)
class Part(_Value):
    """One part of a content: text, a function's call or response, or something that this version
    has no type for and keeps in extra_json. Nothing that a model sent is lost by going through it.
    """

    text: str | None = field(default=None, metadata=_WORDS)
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    thought: bool = False  # a summary of the model's thinking: never shown, never sent back
    thought_signature: str = field(default="", metadata=_WORDS)  # base64 as it came
    extra_json: str = field(default="", metadata=_WORDS)  # every further field, as one JSON object


@dataclass(frozen=True, slots=True, repr=False)
class Content(_Value):
    """One step of a conversation as a model takes and gives it."""

    role: Role = Role.USER
    parts: tuple[Part, ...] = ()
    model: str = ""  # the model that made it, for Role.MODEL: signatures hold for that model alone


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class GenerationConfig(_Value):
    """How an answer is to be generated. What is None is left to the model; a setting that the model
    in use does not know is left out of the request."""

    temperature: float | None = None  # 0..2; ignored by the newest models
    top_p: float | None = None  # 0..1; likewise
    top_k: int | None = None  # likewise
    max_output_tokens: int | None = None  # thoughts count towards it
    stop_sequences: tuple[str, ...] | None = None  # at most 5
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    thinking_budget: int | None = None  # tokens; 0 off, -1 automatic; gemini-2.5
    thinking_level: str | None = None  # "MINIMAL", "LOW", "MEDIUM", "HIGH"; gemini-3 on
    include_thoughts: bool | None = None
    response_mime_type: str | None = None  # "application/json" for JSON
    response_json_schema: str | None = None  # a JSON schema as text


@dataclass(frozen=True, slots=True, repr=False)
class FunctionDeclaration(_Value):
    """A function that the model may ask to be called."""

    name: str  # letters, digits, _ : . -; at most 64
    description: str = ""  # what it does and when to use it: the model reads this
    parameters_json_schema: str = ""  # a JSON schema for an object, as text; empty: no parameters


@dataclass(frozen=True, slots=True, repr=False)
class Tool(_Value):
    """A function of the program's that the model may call while it works on an answer.

    `function` gets the arguments as a dict and gives back what json.dumps() takes; what is no dict
    reaches the model as {"result": ...}. An exception ends up as {"error": "the function failed"}
    with the model, and by its type and place, never its text, in the log "twinchat". It may block;
    it runs on the thread that waits in send(), and for streams and asend() on one of the few of the
    assistant's own.
    """

    declaration: FunctionDeclaration
    function: Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True, repr=False)
class GenerateRequest(_Value):
    """What a model is asked."""

    system_instruction: str = field(default="", metadata=_WORDS)  # of ours
    contents: tuple[Content, ...] = ()  # roles alternate, the first and the last are the user's
    config: GenerationConfig = GenerationConfig()
    functions: tuple[FunctionDeclaration, ...] = ()


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Timeouts(_Value):
    """The limits of one call. The call ends at the first that is reached."""

    connect: Duration = timedelta(seconds=10)  # until connected, TLS included
    first_byte: Duration = timedelta(seconds=60)  # from there to the first byte of the answer
    idle: Duration = timedelta(seconds=60)  # between two bytes of it
    total: Duration = timedelta(seconds=180)  # of one attempt


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class CallOptions(_Value):
    """Around one call of a model.

    on_text     receives the visible text as it comes, piece by piece; when it returns False the
                model stops there. Given: the answer is streamed. Of the library's models it is
                called on a thread of theirs, which it must not hold up.
    stop_token  says whether the call is to stop: ask it now and then
    deadline    the end of the whole call, attempts and pauses included, on the clock of
                time.monotonic()
    timeouts    in place of the model's own
    """

    on_text: Callable[[str], bool | None] | None = None
    stop_token: StopToken | None = None
    deadline: float | None = None
    timeouts: Timeouts | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ModelAnswer(_Value):
    """What a model gave."""

    content: Content = Content(Role.MODEL)
    finish_reason: FinishReason = FinishReason.STOP  # NONE: none was given, the answer is cut
    finish_reason_raw: str = ""
    block_reason: str = ""  # the prompt was refused, and why; there is no content then
    usage: Usage = Usage()
    model: str = ""  # the model that was asked
    model_version: str = ""  # the one that says it answered
    response_id: str = ""
    attempts: int = 0
    # Why the answer ends where it does, when it was broken off after visible text had come.
    interruption: TwinchatError | None = None


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class RetryOptions(_Value):
    """When and how often a failed request is sent again: only while nothing of its answer has been
    shown, only when the failure may pass, and only if there is time before the deadline. The pause
    is random between 0 and `initial_backoff` doubled with every attempt up to `max_backoff`, and
    never shorter than what the server asked for."""

    max_attempts: int = 4  # per model, the first included; 1 turns retries off
    initial_backoff: Duration = timedelta(seconds=0.5)
    max_backoff: Duration = timedelta(seconds=20)
    max_server_delay: Duration = timedelta(seconds=60)  # a server that asks for more is not awaited
    max_empty_retries: int = 2  # how often an answer that has no text is asked for again
    budget_ratio: float = 0.2  # retries may be this share of the calls of late; 0: no limit


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class BreakerOptions(_Value):
    """Stops asking a model that does not answer: it opens when, of at least `min_calls` attempts in
    the last `window`, `failure_ratio` or more failed; after `open_for` one call is let through."""

    enabled: bool = True
    window: Duration = timedelta(seconds=30)
    min_calls: int = 20
    failure_ratio: float = 0.5
    open_for: Duration = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, repr=False)
class SafetySetting(_Value):
    """One category of harm and from which probability on it is blocked, in the API's own words."""

    category: str  # "HARM_CATEGORY_HARASSMENT"
    threshold: str  # "BLOCK_ONLY_HIGH"


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class ModelCapabilities(_Value):
    """What a family of models accepts. Found by the longest prefix of the model's name."""

    model_prefix: str = ""  # "" matches every model
    sampling: bool = True  # temperature, top_p, top_k; else they are left out
    thinking_budget: bool = True  # else it is left out
    thinking_level: bool = True  # else it is left out
    minimal_thinking: bool = True  # thinking level MINIMAL; else LOW is sent
    zero_thinking_budget: bool = True  # thinking budget 0; else it is left out


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class MessageQuery(_Value):
    """Which messages of a session to read."""

    after_id: int = 0  # only messages with a greater id; 0 from the beginning
    limit: int = 0  # at most so many, the oldest of them first; 0 for all
    before_id: int = 0  # only messages with a smaller id; 0 to the end
    newest: bool = False  # of more than `limit`, those at the end, the oldest of them first


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class NewTurn(_Value):
    """What Store.begin_turn writes, in one transaction."""

    session_id: str = field(metadata=_NAME)
    create_session: bool = False  # create it when it is not there; else an unknown one is NotFound
    details: UserDetailsUpdate = UserDetailsUpdate()  # applied to the session
    text: str = field(metadata=_WORDS)  # the visitor's message
    idempotency_key: str = ""  # the caller's name for this request, unique within the session
    fingerprint: str = ""  # tells whether a second request under the same key is the same
    now: datetime
    expires_at: datetime  # a turn that is still pending then was abandoned
    max_tokens_per_day: int = 0  # begin nothing when the day's turns used so many; 0: no limit


@dataclass(frozen=True, slots=True, repr=False)
class BegunTurn(_Value):
    """What Store.begin_turn found or made."""

    kind: BegunTurnKind
    turn: Turn  # pending, or as it ended when REPLAYED


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class FinishedTurn(_Value):
    """What Store.finish_turn writes, in one transaction."""

    turn_id: int
    status: TurnStatus  # anything but PENDING
    answer: str | None = field(default=None, metadata=_WORDS)  # None: no message
    contents: str = field(default="", metadata=_WORDS)  # opaque to the store
    finish_reason_raw: str = ""
    block_reason: str = ""
    model: str = ""
    model_version: str = ""
    response_id: str = ""
    usage: Usage = Usage()
    latency: timedelta = timedelta(0)
    attempts: int = 0
    error_code: str = ""
    now: datetime


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class PastTurn(_Value):
    """A turn as later requests need it."""

    turn_id: int = 0  # 0 for a pair of messages that another program wrote
    user_text: str = field(metadata=_WORDS)
    answer_text: str = field(metadata=_WORDS)
    contents: str = field(default="", metadata=_WORDS)  # as finish_turn got it
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class NewConsent(_Value):
    """What Store.record_consent writes."""

    session_id: str = field(metadata=_NAME)
    version: str  # the program's name for the words
    language: str = ""  # in which they were shown, as "en"
    text: str = ""  # the words themselves
    now: datetime
