"""What the stand-in answers to certain questions of the tests of the C API; to all others its echo."""


def always(text, **reply):
    return {"match": {"text_contains": text}, "times": 0, **reply}


def call_of(name, args):
    return {"body": {"candidates": [{"finishReason": "STOP", "content": {
        "role": "model", "parts": [{"functionCall": {"name": name, "args": args}}]}}]}}


REPLIES = [
    always("slow stream", chunks=["one ", "two ", "three ", "four"], chunk_ms=100),
    always("never answered", hang=True),
    always("something foul", block_reason="PROHIBITED_CONTENT"),
    always("out of quota", error={
        "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "77s"}]}),
    always("use the tool", **call_of("weather", {"town": "Paris"})),
    always("use what is broken", **call_of("broken", {})),
]
