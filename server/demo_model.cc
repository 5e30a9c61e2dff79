#include "demo_model.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <vector>

#include "text.h"

namespace twinchat::server {
namespace {

constexpr std::string_view kNotice =
    "(This is the offline demo: no Gemini key is set, so the answer comes from a short built-in "
    "list.)";

struct Faq {
  std::vector<std::string_view> keywords;  // beginnings of words; a hit counts by its length
  std::string_view answer;
};

const std::vector<Faq>& faqs() {
  static const std::vector<Faq> list = {
      {{"hello", "namaste", "good morning", "good evening"},
       "Hello, and welcome! You can ask me about reversing diabetes, about obesity or PCOD, about "
       "the Whole Body Digital Twin, or about becoming a member."},
      {{"diabet", "sugar", "glucose", "insulin", "hba1c", "a1c", "revers"},
       "Type 2 diabetes is, at heart, a metabolism that has lost its balance. Twin Health works on "
       "that cause: food, sleep, activity and breathing are fitted to how your own body responds, "
       "so that blood sugar can come back to a healthy range. Many members reduce their medicines "
       "along the way, always together with their doctor, who alone should change a dose."},
      {{"obes", "overweight", "weight", "fat", "slim", "bmi"},
       "Lasting weight loss follows from a metabolism that works again. Instead of one diet for "
       "everybody, Twin Health looks at how your body handles each food and suggests meals, "
       "movement and sleep that suit you, so that weight comes down without going hungry."},
      {{"pcod", "pcos", "polycystic", "ovar", "period", "hormon"},
       "PCOD is often tied to insulin resistance. By healing the metabolism behind it, through "
       "food, sleep, activity and calm, many women see their cycle and their energy improve. "
       "Please keep your gynaecologist in the picture about anything you change."},
      {{"digital twin", "technology", "sensor", "whole body", "app", "how does it work",
        "twin work"},
       "The Whole Body Digital Twin is a living model of your own metabolism. It learns from "
       "sensors, blood tests and what you tell the app, and then advises what to eat and do next, "
       "for you and not for an average person."},
      {{"member", "join", "sign up", "enrol", "programme", "program", "price", "cost", "fee"},
       "More than 50,000 members take part. Membership begins with a conversation about your "
       "health and a set of tests; sensors, the app and a care team of doctors and coaches come "
       "with it. For current prices, please ask the Twin Health team."},
      {{"metabol", "root cause", "energy", "tired"},
       "Metabolism is how the body turns food into energy. When it is disturbed, blood sugar, "
       "weight, blood pressure and hormones follow. Healing it means treating the cause and not "
       "each sign of it on its own."},
      {{"contact", "call", "phone", "email", "e-mail", "reach", "appointment", "book", "talk to"},
       "The Twin Health team is glad to help in person. Leave your name, e-mail and phone number "
       "here in the chat, and somebody can get back to you."},
      {{"emergency", "chest pain", "unconscious", "faint", "suicid", "stroke"},
       "This may be an emergency: please call your local emergency number now, or go to the "
       "nearest hospital. A chat cannot help you fast enough."},
  };
  return list;
}

constexpr std::string_view kFallback =
    "I know only a few topics here: reversing diabetes, obesity, PCOD, metabolism, the Whole Body "
    "Digital Twin, membership and how to get in touch. Ask me about one of these. For anything "
    "about your own health, please speak to your doctor.";

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}

std::size_t score(const Faq& faq, std::string_view question) {
  std::size_t total = 0;
  for (const std::string_view keyword : faq.keywords) {
    for (std::size_t at = question.find(keyword); at != std::string_view::npos;
         at = question.find(keyword, at + 1)) {
      if (at == 0 || !is_word_char(question[at - 1])) total += keyword.size();
    }
  }
  return total;
}

std::string answer_to(std::string_view question) {
  const std::string lower = ascii_lower(question);
  std::string_view best = kFallback;
  std::size_t best_score = 0;
  for (const Faq& faq : faqs()) {
    const std::size_t points = score(faq, lower);
    if (points > best_score) {
      best_score = points;
      best = faq.answer;
    }
  }
  return std::string(best) + "\n\n" + std::string(kNotice);
}

// Sleeps, but not beyond a stop.
void pause(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any condition;
  std::unique_lock lock(mutex);
  condition.wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

ModelAnswer DemoModel::generate(const GenerateRequest& request, const CallOptions& options) {
  const std::string question =
      request.contents.empty() ? std::string() : visible_text(request.contents.back());
  std::string text = answer_to(question);
  ModelAnswer answer;
  answer.model = answer.model_version = name();
  answer.attempts = 1;
  answer.finish_reason = FinishReason::kStop;
  answer.finish_reason_raw = "STOP";

  std::size_t shown = 0;
  while (options.on_text && shown < text.size()) {
    pause(word_delay_, options.stop_token);
    if (options.deadline && std::chrono::steady_clock::now() >= *options.deadline) {
      answer.interruption =
          Error(ErrorCode::kDeadlineExceeded, "The answer took too long.", {.stage = "deadline"});
    }
    const std::size_t end = std::min(text.find(' ', shown), text.size() - 1) + 1;
    const bool stopped = options.stop_token.stop_requested();
    if (!answer.interruption && !stopped &&
        options.on_text(std::string_view(text).substr(shown, end - shown))) {
      shown = end;
      continue;
    }
    if (!answer.interruption) {
      // A piece that was refused has been shown all the same; one that was never offered has not.
      if (!stopped) shown = end;
      answer.interruption = Error(ErrorCode::kCancelled, "The answer was stopped.");
    }
    if (shown == 0) throw *answer.interruption;
    text.resize(shown);
    answer.finish_reason = FinishReason::kNone;
    answer.finish_reason_raw.clear();
  }
  answer.content.parts.push_back({.text = std::move(text)});
  answer.content.model = name();
  return answer;
}

}  // namespace twinchat::server
