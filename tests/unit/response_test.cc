#include "gemini/response.h"

#include <string>
#include <utility>
#include <vector>

#include "catch.h"
#include "verdict.h"

using namespace twinchat;
using namespace twinchat::gemini;

namespace {

// An answer made of pieces, and the text that came with them.
struct Built {
  ModelAnswer answer;
  std::string shown;
  std::vector<bool> parsed;
  std::optional<Error> error;
};

Built build(const std::vector<std::string>& pieces) {
  Built built;
  AnswerBuilder builder("asked-model");
  for (const std::string& piece : pieces) {
    AnswerBuilder::Added added = builder.add(piece);
    built.shown += added.text;
    built.parsed.push_back(added.parsed);
    if (added.error) built.error = std::move(added.error);
  }
  CHECK(builder.has_text() == !built.shown.empty());
  built.answer = builder.take();
  CHECK(visible_text(built.answer.content) == built.shown);
  CHECK(built.answer.content.role == Role::kModel);
  CHECK(built.answer.content.model == "asked-model");
  CHECK(built.answer.model == "asked-model");
  return built;
}

std::string text_piece(const std::string& text) {
  return R"({"candidates":[{"content":{"role":"model","parts":[{"text":")" + text + R"("}]}}]})";
}

const std::string kStop = R"({"candidates":[{"finishReason":"STOP"}]})";

ModelAnswer answer_with(const std::string& finish_reason, const std::string& text) {
  const std::string reason =
      finish_reason.empty() ? "" : R"(,"finishReason":")" + finish_reason + "\"";
  return build({R"({"candidates":[{"content":{"role":"model","parts":[{"text":")" + text +
                R"("}]})" + reason + "}]}"})
      .answer;
}

}  // namespace

TEST_CASE("A stream is put together, however its end is written") {
  const std::vector<std::pair<const char*, std::vector<std::string>>> ends{
      {"text and reason together",
       {R"({"candidates":[{"content":{"parts":[{"text":"c"}]},"finishReason":"STOP"}]})"}},
      {"reason with an empty text",
       {text_piece("c"),
        R"({"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}]})"}},
      {"reason with an empty content",
       {text_piece("c"), R"({"candidates":[{"content":{},"finishReason":"STOP"}]})"}},
      {"reason with a content without parts",
       {text_piece("c"), R"({"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}]})"}},
      {"reason with empty parts",
       {text_piece("c"), R"({"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]})"}},
      {"reason without content", {text_piece("c"), kStop}},
      {"usage after the reason",
       {text_piece("c"), kStop, R"({"usageMetadata":{"promptTokenCount":1}})"}},
      {"usage with no candidates after the reason",
       {text_piece("c"), kStop, R"({"candidates":[],"usageMetadata":{}})"}},
      {"[DONE] at the end", {text_piece("c"), kStop, "[DONE]"}},
      {"the reason with every piece",
       {R"({"candidates":[{"content":{"parts":[{"text":"c"}]},"finishReason":"STOP"}]})", kStop,
        kStop}},
      {"the reason too early", {kStop, text_piece("c")}},
      {"an unspecified reason after the true one",
       {text_piece("c"), kStop,
        R"({"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]})"}},
  };
  for (const auto& [about, end] : ends) {
    INFO(about);
    std::vector<std::string> pieces{text_piece("a"), text_piece("b")};
    pieces.insert(pieces.end(), end.begin(), end.end());
    const Built built = build(pieces);
    CHECK(built.parsed == std::vector<bool>(pieces.size(), true));
    CHECK_FALSE(built.error);
    CHECK(built.answer.content.parts == std::vector<Part>{{.text = "abc"}});
    CHECK(built.answer.finish_reason == FinishReason::kStop);
    CHECK(built.answer.finish_reason_raw == "STOP");
    CHECK(status_of(built.answer) == TurnStatus::kComplete);
  }
}

TEST_CASE("The last finish reason holds") {
  CHECK(build({kStop, text_piece("a"), R"({"candidates":[{"finishReason":"SAFETY"}]})"})
            .answer.finish_reason == FinishReason::kSafety);
  CHECK(build({R"({"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]})"})
            .answer.finish_reason == FinishReason::kNone);
  CHECK(build({text_piece("a")}).answer.finish_reason == FinishReason::kNone);
  CHECK(build({R"({"candidates":[{"finishReason":7}]})"}).answer.finish_reason ==
        FinishReason::kNone);
}

TEST_CASE("A signature in the last piece is kept in a part of its own") {
  const Built built = build(
      {text_piece("a"), text_piece("b"),
       R"({"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2ln"}]},"finishReason":"STOP"}]})"});
  CHECK(built.answer.content.parts ==
        std::vector<Part>{{.text = "ab"}, {.text = "", .thought_signature = "c2ln"}});
}

TEST_CASE("Thoughts are kept and are not visible text") {
  const Built built = build(
      {R"({"candidates":[{"content":{"parts":[{"text":"I think","thought":true}]}}]})",
       R"({"candidates":[{"content":{"parts":[{"text":" so","thought":true},{"text":"Yes"}]}}]})",
       kStop});
  CHECK(built.shown == "Yes");
  CHECK(built.answer.content.parts ==
        std::vector<Part>{{.text = "I think so", .thought = true}, {.text = "Yes"}});
}

TEST_CASE("The numbers of a stream are running totals") {
  const Built built = build(
      {R"({"usageMetadata":{"promptTokenCount":10,"totalTokenCount":10,"thoughtsTokenCount":3}})",
       R"({"candidates":[],"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":4,"totalTokenCount":17,"thoughtsTokenCount":3,"cachedContentTokenCount":8}})",
       R"({"usageMetadata":{"candidatesTokenCount":9,"totalTokenCount":22}})",
       R"({"usageMetadata":{"candidatesTokenCount":null,"totalTokenCount":"99"}})", kStop});
  CHECK(built.answer.usage == Usage{.prompt_tokens = 10,
                                    .cached_tokens = 8,
                                    .output_tokens = 9,
                                    .thought_tokens = 3,
                                    .total_tokens = 22});
  CHECK(build({kStop}).answer.usage == Usage{});
}

TEST_CASE("What the service says of itself is kept") {
  AnswerBuilder builder("m");
  builder.add(
      R"({"modelVersion":"v1","responseId":"r1","modelStatus":{"modelStage":"DEPRECATED"}})");
  builder.add(R"({"modelVersion":"v2","modelStatus":{}})");
  CHECK(builder.model_stage() == "DEPRECATED");
  const ModelAnswer answer = builder.take();
  CHECK(answer.model_version == "v2");
  CHECK(answer.response_id == "r1");
}

TEST_CASE("An array of pieces is read like the pieces") {
  const Built array =
      build({"[" + text_piece("a") + "," + text_piece("b") + "\n,\r\n" + kStop + "]"});
  CHECK(array.shown == "ab");
  CHECK(array.answer.finish_reason == FinishReason::kStop);
  const Built empty = build({"[]"});
  CHECK(empty.parsed == std::vector<bool>{true});
  CHECK(empty.answer.finish_reason == FinishReason::kNone);
  CHECK(build({R"([1,null,"x",[]])"}).shown.empty());
}

TEST_CASE("An error among the pieces is an error, and what came before it stays") {
  const std::string error = R"({"error":{"code":503,"message":"canary","status":"UNAVAILABLE"}})";
  for (const std::string& piece :
       {error, "[" + error + "]",
        "[" + text_piece("b") + "," + error + "," + text_piece("never") + "]"}) {
    INFO(piece);
    const Built built = build({text_piece("a"), piece});
    REQUIRE(built.error);
    CHECK(built.error->code() == ErrorCode::kUnavailable);
    CHECK(built.error->details().retryable);
    CHECK(built.error->details().http_status == 503);
    CHECK(built.error->details().model == "asked-model");
    CHECK(std::string(built.error->what()).find("canary") == std::string::npos);
    CHECK(built.shown.starts_with("a"));
    CHECK(built.shown.find("never") == std::string::npos);
  }
}

TEST_CASE("An error that is no object is an error all the same") {
  for (const char* piece : {R"({"error":503})", R"({"error":"overloaded"})", R"({"error":[]})"}) {
    INFO(piece);
    CHECK(build({text_piece("a"), piece}).error);
  }
  CHECK_FALSE(build({R"({"error":null,"candidates":[]})"}).error);
}

TEST_CASE("What is no JSON changes nothing") {
  for (const char* piece :
       {"", " ", "{", "nonsense", "7", "\"x\"", "null", "true", "<html>", "DONE", "[DONE",
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x"}) {
    INFO(piece);
    const Built built = build({text_piece("a"), piece, kStop});
    CHECK(built.parsed == std::vector<bool>{true, false, true});
    CHECK(built.shown == "a");
    CHECK(built.answer.finish_reason == FinishReason::kStop);
  }
}

TEST_CASE("Pieces of an unexpected shape are read as far as they make sense") {
  for (const char* piece : {
           R"({})",
           R"({"candidates":null})",
           R"({"candidates":{}})",
           R"({"candidates":"x"})",
           R"({"candidates":[null]})",
           R"({"candidates":[[]]})",
           R"({"candidates":[{"content":[]}]})",
           R"({"candidates":[{"content":{"parts":{}}}]})",
           R"({"candidates":[{"content":{"parts":[null,7,"x",[],{}]}}]})",
           R"({"candidates":[{"content":{"parts":[{"text":7}]}}]})",
           R"({"usageMetadata":[],"promptFeedback":7,"modelStatus":"x","modelVersion":{}})",
       }) {
    INFO(piece);
    const Built built = build({text_piece("a"), piece, text_piece("b"), kStop});
    CHECK(built.shown == "ab");
    CHECK(status_of(built.answer) == TurnStatus::kComplete);
  }
}

TEST_CASE("Parts of kinds without a type are kept as they came") {
  const Built built = build(
      {R"({"candidates":[{"content":{"parts":[{"executableCode":{"code":"1+1"}},{"text":"2"}]},"finishReason":"STOP"}]})"});
  REQUIRE(built.answer.content.parts.size() == 2);
  CHECK(built.answer.content.parts[0].extra_json == R"({"executableCode":{"code":"1+1"}})");
  CHECK(built.shown == "2");
}

TEST_CASE("Every finish reason has its verdict, with text and without") {
  struct Row {
    const char* raw;
    FinishReason reason;
    Verdict with_text;
    Verdict without;
    TurnStatus status_with_text;
    TurnStatus status_without;
  };
  const auto cut = [](const char* raw) {
    return Row{raw,           FinishReason::kNone,    Verdict::kCut,
               Verdict::kCut, TurnStatus::kTruncated, TurnStatus::kEmpty};
  };
  const auto blocked = [](const char* raw, FinishReason reason) {
    return Row{raw,
               reason,
               Verdict::kBlocked,
               Verdict::kBlocked,
               TurnStatus::kBlocked,
               TurnStatus::kBlocked};
  };
  const auto fault = [](const char* raw, FinishReason reason, TurnStatus status) {
    return Row{raw, reason, Verdict::kFaultOnce, Verdict::kFaultOnce, status, status};
  };
  const auto limit = [](const char* raw, FinishReason reason) {
    return Row{raw,
               reason,
               Verdict::kAnswered,
               Verdict::kEmptyByLimit,
               TurnStatus::kTruncated,
               TurnStatus::kEmpty};
  };
  const std::vector<Row> rows{
      cut(""),
      cut("FINISH_REASON_UNSPECIFIED"),
      {"STOP", FinishReason::kStop, Verdict::kAnswered, Verdict::kEmpty, TurnStatus::kComplete,
       TurnStatus::kEmpty},
      limit("MAX_TOKENS", FinishReason::kMaxTokens),
      limit("CONTINUATION", FinishReason::kContinuation),
      blocked("SAFETY", FinishReason::kSafety),
      fault("RECITATION", FinishReason::kRecitation, TurnStatus::kBlocked),
      blocked("LANGUAGE", FinishReason::kLanguage),
      blocked("BLOCKLIST", FinishReason::kBlocklist),
      blocked("PROHIBITED_CONTENT", FinishReason::kProhibitedContent),
      blocked("SPII", FinishReason::kSpii),
      blocked("MODEL_ARMOR", FinishReason::kModelArmor),
      fault("OTHER", FinishReason::kOther, TurnStatus::kBlocked),
      fault("MALFORMED_FUNCTION_CALL", FinishReason::kMalformedFunctionCall, TurnStatus::kFailed),
      fault("UNEXPECTED_TOOL_CALL", FinishReason::kUnexpectedToolCall, TurnStatus::kFailed),
      fault("TOO_MANY_TOOL_CALLS", FinishReason::kTooManyToolCalls, TurnStatus::kFailed),
      fault("MALFORMED_RESPONSE", FinishReason::kMalformedResponse, TurnStatus::kFailed),
      fault("MISSING_THOUGHT_SIGNATURE", FinishReason::kMissingThoughtSignature,
            TurnStatus::kFailed),
      blocked("IMAGE_SAFETY", FinishReason::kImage),
      blocked("IMAGE_PROHIBITED_CONTENT", FinishReason::kImage),
      blocked("IMAGE_RECITATION", FinishReason::kImage),
      blocked("IMAGE_OTHER", FinishReason::kImage),
      blocked("NO_IMAGE", FinishReason::kImage),
      blocked("A_REASON_OF_TOMORROW", FinishReason::kUnrecognized),
      blocked("stop", FinishReason::kUnrecognized),
  };
  for (const Row& row : rows) {
    INFO('"' << row.raw << '"');
    const ModelAnswer with_text = answer_with(row.raw, "x");
    CHECK(with_text.finish_reason == row.reason);
    CHECK(with_text.finish_reason_raw == row.raw);
    CHECK(judge(with_text) == row.with_text);
    CHECK(status_of(with_text) == row.status_with_text);
    const ModelAnswer without = answer_with(row.raw, "");
    CHECK(judge(without) == row.without);
    CHECK(status_of(without) == row.status_without);
  }
}

TEST_CASE("A prompt that was refused is blocked, whatever the reason is called") {
  for (const char* reason : {"SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY",
                             "MODEL_ARMOR", "JAILBREAK", "A_REASON_OF_TOMORROW",
                             "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"}) {
    INFO(reason);
    const Built built =
        build({std::string(R"({"promptFeedback":{"blockReason":")") + reason + R"("}})"});
    CHECK(built.answer.block_reason == reason);
    CHECK(judge(built.answer) == Verdict::kBlocked);
    CHECK(status_of(built.answer) == TurnStatus::kBlocked);
  }
}

TEST_CASE("Feedback on a prompt that names no reason to block does not block") {
  const Built rated =
      build({R"({"promptFeedback":{"safetyRatings":[{"category":"X","probability":"LOW"}]}})",
             text_piece("a"), kStop});
  CHECK(judge(rated.answer) == Verdict::kAnswered);
  for (const char* reason : {"BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"}) {
    const Built unspecified =
        build({std::string(R"({"promptFeedback":{"blockReason":")") + reason + R"("}})",
               text_piece("a"), kStop});
    CHECK(judge(unspecified.answer) == Verdict::kAnswered);
    CHECK(status_of(unspecified.answer) == TurnStatus::kComplete);
  }
}

TEST_CASE("A function call is an answer without text, a thought is none") {
  const std::string call =
      R"({"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP"}]})";
  CHECK(judge(build({call}).answer) == Verdict::kAnswered);
  const std::string thought =
      R"({"candidates":[{"content":{"parts":[{"text":"hm","thought":true}]},"finishReason":"STOP"}]})";
  CHECK(judge(build({thought}).answer) == Verdict::kEmpty);
}

TEST_CASE("How an answer was interrupted decides what its turn is") {
  ModelAnswer answer = answer_with("", "half");
  answer.interruption = Error(ErrorCode::kCancelled, "x");
  CHECK(status_of(answer) == TurnStatus::kCancelled);
  answer.interruption = Error(ErrorCode::kUnavailable, "x");
  CHECK(status_of(answer) == TurnStatus::kTruncated);
  answer.interruption = Error(ErrorCode::kDeadlineExceeded, "x");
  CHECK(status_of(answer) == TurnStatus::kTruncated);
}
