"""A chat backend as a library: sessions, message history, and the call to Google's Gemini.

    with twinchat.Assistant(
        twinchat.open_store("sqlite:///chat.db"),
        twinchat.make_gemini_model(api_key=key),
        system_prompt="You are a friendly assistant.",
    ) as assistant:
        session = assistant.create_session(name="Jane")
        turn = assistant.send(session.session_id, "How can I reverse diabetes?")

Begin with Assistant. Names are those of the C++ library, whose headers are the manual of it all.
Where a duration is asked for, a timedelta or seconds will do; where one is given it is a timedelta.
Every time is an aware datetime.
"""

from ._assistant import Assistant, AsyncStream, Stream
from ._errors import (
    Aborted,
    AlreadyExists,
    Blocked,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    ErrorCode,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    RateLimited,
    TwinchatError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from ._gemini import make_gemini_model
from ._model import Model, text_content, visible_text
from ._store import Store, make_memory_store, open_sqlite_store, open_store
from ._twinchat import StopSource, StopToken, __version__, finish_reason_from, problems
from ._values import (
    KEEP,
    BegunTurn,
    BegunTurnKind,
    BreakerOptions,
    CallOptions,
    Consent,
    Content,
    Duration,
    Feedback,
    FieldProblem,
    FinishedTurn,
    FinishReason,
    FunctionCall,
    FunctionDeclaration,
    FunctionResponse,
    GenerateRequest,
    GenerationConfig,
    Keep,
    Message,
    MessageQuery,
    ModelAnswer,
    ModelCapabilities,
    NewConsent,
    NewTurn,
    Part,
    PastTurn,
    RetryOptions,
    Role,
    SafetySetting,
    Session,
    Timeouts,
    Tool,
    Turn,
    TurnStatus,
    Usage,
    UserDetails,
    UserDetailsUpdate,
)

__all__ = [
    "KEEP",
    "Aborted",
    "AlreadyExists",
    "Assistant",
    "AsyncStream",
    "BegunTurn",
    "BegunTurnKind",
    "Blocked",
    "BreakerOptions",
    "CallOptions",
    "Cancelled",
    "Consent",
    "Content",
    "DataLoss",
    "DeadlineExceeded",
    "Duration",
    "ErrorCode",
    "FailedPrecondition",
    "Feedback",
    "FieldProblem",
    "FinishReason",
    "FinishedTurn",
    "FunctionCall",
    "FunctionDeclaration",
    "FunctionResponse",
    "GenerateRequest",
    "GenerationConfig",
    "Internal",
    "InvalidArgument",
    "Keep",
    "Message",
    "MessageQuery",
    "Model",
    "ModelAnswer",
    "ModelCapabilities",
    "NewConsent",
    "NewTurn",
    "NotFound",
    "OutOfRange",
    "Part",
    "PastTurn",
    "PermissionDenied",
    "RateLimited",
    "RetryOptions",
    "Role",
    "SafetySetting",
    "Session",
    "StopSource",
    "StopToken",
    "Store",
    "Stream",
    "Timeouts",
    "Tool",
    "Turn",
    "TurnStatus",
    "TwinchatError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "Usage",
    "UserDetails",
    "UserDetailsUpdate",
    "__version__",
    "finish_reason_from",
    "make_gemini_model",
    "make_memory_store",
    "open_sqlite_store",
    "open_store",
    "problems",
    "text_content",
    "visible_text",
]


def _show_as_public() -> None:
    """Tracebacks and pickles name what is public as twinchat.X, wherever its file is."""
    for name in __all__:
        value = globals()[name]
        if isinstance(value, type):
            value.__module__ = __name__


_show_as_public()
