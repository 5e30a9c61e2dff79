"""What answers."""

from __future__ import annotations

import abc

from . import _twinchat
from ._values import CallOptions, Content, GenerateRequest, ModelAnswer, Part, Role


class Model(abc.ABC):
    """Derive from it to use another service than Gemini, or none. The library's own comes from
    make_gemini_model() and has these functions, too."""

    @abc.abstractmethod
    def name(self) -> str:
        """The model's name, as it is recorded with the turns."""

    @abc.abstractmethod
    def generate(self, request: GenerateRequest, options: CallOptions) -> ModelAnswer:
        """Asks and waits for the answer. Called from many threads at once.

        An answer that was refused, empty or cut is an answer; an exception is raised when there is
        none: Cancelled when `options.stop_token` said so before any text came, DeadlineExceeded,
        Unavailable, RateLimited and so on. Of an exception that is no TwinchatError the caller gets
        Unknown, with that as its __cause__.

        With `options.on_text` each piece of the text is to be given to it as it comes; False from
        it means stop. A model that does not look at the stop_token is waited for when its assistant
        is closed, and at the end of the interpreter.
        """


Model.register(_twinchat.NativeModel)


def text_content(role: Role, text: str) -> Content:
    """A content with one text part."""
    return Content(role, (Part(text=text),))


def visible_text(content: Content) -> str:
    """The text that a person sees: all text parts that are not thoughts, joined."""
    return _twinchat.visible_text(content)
