"""Google's Gemini as the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from . import _twinchat
from ._model import Model
from ._values import BreakerOptions, ModelCapabilities, RetryOptions, SafetySetting, Timeouts


def make_gemini_model(
    *,
    api_key: str = "",
    bearer_token: Callable[[], str] | None = None,
    model: str = "gemini-3.5-flash-lite",
    fallback_models: Sequence[str] = (),
    base_url: str = "https://generativelanguage.googleapis.com",
    api_version: str = "v1beta",
    model_path: str = "models/",
    safety_settings: Sequence[SafetySetting] = (),
    max_output_tokens: int = 8192,
    timeouts: Timeouts = Timeouts(),
    retry: RetryOptions = RetryOptions(),
    breaker: BreakerOptions = BreakerOptions(),
    capabilities: Sequence[ModelCapabilities] = (),
    max_in_flight: int = 1024,
    max_connections: int = 1024,
    max_queued: int = 16384,
    proxy: str = "",
    ca_file: str = "",
    max_answer_bytes: int = 8388608,
    on_warning: Callable[[str], object] | None = None,
    on_breaker: Callable[[str, bool], object] | None = None,
) -> Model:
    """A model that asks Google's Gemini API over HTTP.

    api_key            the key; its form is not checked
    bearer_token       in place of a key: gives a bearer token for every request (Vertex AI)
    model              the one that is asked
    fallback_models    asked in this order when the one before cannot answer now
    base_url           https, or http to a loopback address; a path is kept
    api_version        "v1beta" or "v1"
    model_path         between the API version and the model's name
    safety_settings    empty: the model's own
    max_output_tokens  the cap on output when a request sets none; thoughts count
    timeouts, retry, breaker   see there
    capabilities       what families of models accept, before the built-in table
    max_in_flight      requests on the network at the same time; further ones wait
    max_connections    connections to the server at the same time
    max_queued         calls that wait; one more fails with RateLimited
    proxy              http:// or https://; empty: the environment's
    ca_file            PEM file of certificate authorities in place of the system's
    max_answer_bytes   the largest answer that is read
    on_warning         told in plain words about what an operator should know
    on_breaker         told a model's name and whether its breaker is open, when that changes

    bearer_token, on_warning and on_breaker are called on the thread that carries all calls, which
    they must not hold up. InvalidArgument when the options cannot work.
    """
    options = {
        "api_key": api_key,
        "model": model,
        "fallback_models": fallback_models,
        "base_url": base_url,
        "api_version": api_version,
        "model_path": model_path,
        "safety_settings": safety_settings,
        "max_output_tokens": max_output_tokens,
        "timeouts": timeouts,
        "retry": retry,
        "breaker": breaker,
        "capabilities": capabilities,
        "max_in_flight": max_in_flight,
        "max_connections": max_connections,
        "max_queued": max_queued,
        "proxy": proxy,
        "ca_file": ca_file,
        "max_answer_bytes": max_answer_bytes,
    }
    return cast(Model, _twinchat.make_gemini_model(options, bearer_token, on_warning, on_breaker))
