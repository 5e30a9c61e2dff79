#include "twinchat/assistant.h"

#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bind.h"
#include "callback.h"
#include "calls.h"
#include "convert.h"
#include "fields.h"
#include "gil.h"
#include "model.h"
#include "store.h"

namespace twinchat::python {
namespace {

// An assistant and the threads that are in it.
//
// Thread safety: every function may be called from any thread, without the GIL where it waits.
struct House {
  RunningCalls calls;
  std::mutex closing;  // guards the end of:
  std::shared_ptr<Assistant> assistant;

  ~House() { close(); }

  void close() {
    calls.close();
    const std::lock_guard lock(closing);
    assistant.reset();
  }
};

std::string text_argument(py::handle from, const char* name) {
  return from_python<std::string>(from, {nullptr, name});
}

std::stop_token token_argument(py::handle from) {
  return from.is_none() ? std::stop_token() : from.cast<std::stop_token>();
}

// A send that nobody waits in: its pieces and its end are fetched. The assistant's threads bring
// them without the GIL.
//
// Thread safety: every function may be called from any thread; with the GIL where it says so.
class StartedSend {
 public:
  // `on_event`, a Python function or None, is called on a thread of the assistant's when there are
  // pieces again, and at the end.
  StartedSend(Held on_event, const std::stop_token& users)
      : on_event_(std::move(on_event)),
        on_user_stop_(users, [stop = stop_]() mutable { stop.request_stop(); }) {}

  std::stop_token token() const { return stop_.get_token(); }
  void request_stop() { stop_.request_stop(); }

  bool arrive(std::string_view piece) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = pieces_.empty();
      pieces_.emplace_back(piece);
      changed_.notify_all();
    }
    if (first) tell();
    return !stop_.stop_requested();
  }

  void end(Result<Turn> result) {
    {
      const std::lock_guard lock(mutex_);
      result_.emplace(std::move(result));
      changed_.notify_all();
    }
    tell();
  }

  // Waits for the next piece; nullopt when there is none any more. Stops the send, and throws, when
  // a signal handler of Python's raises. Without the GIL.
  std::optional<std::string> next(const Signals& signals) {
    std::unique_lock lock(mutex_);
    try {
      signals.wait(changed_, lock, [this] { return !pieces_.empty() || result_; });
    } catch (...) {
      lock.unlock();
      request_stop();
      throw;
    }
    if (pieces_.empty()) return std::nullopt;
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    return piece;
  }

  std::vector<std::string> take() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> pieces(std::make_move_iterator(pieces_.begin()),
                                    std::make_move_iterator(pieces_.end()));
    pieces_.clear();
    return pieces;
  }

  bool is_done() const {
    const std::lock_guard lock(mutex_);
    return result_.has_value();
  }

  // Waits for the end. Without the GIL.
  void wait(const Signals& signals) {
    std::unique_lock lock(mutex_);
    signals.wait(changed_, lock, [this] { return result_.has_value(); });
  }

  // Only to be called when is_done(). Throws the Error.
  Turn turn() const {
    const std::lock_guard lock(mutex_);
    return result_->value();
  }

 private:
  void tell() const {
    if (!on_event_) return;
    const Callback callback;
    if (!callback) return;
    try {
      on_event_.get()();
    } catch (py::error_already_set& thrown) {
      thrown.discard_as_unraisable("the end of a send");
    }
  }

  const Held on_event_;
  std::stop_source stop_;
  const std::stop_callback<std::function<void()>> on_user_stop_;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<std::string> pieces_;
  std::optional<Result<Turn>> result_;
};

// A StartedSend as Python has it. When it goes the send is stopped.
class PythonSend {
  template <class Work>
  auto use(const Work& work) {
    StartedSend& send = *send_.get();
    return counted(free_calls(), [&](std::stop_source&) { return work(send); });
  }

 public:
  explicit PythonSend(std::shared_ptr<StartedSend> send) : send_(std::move(send)) {}
  PythonSend(PythonSend&&) noexcept = default;
  PythonSend& operator=(PythonSend&&) = delete;
  ~PythonSend() {
    if (send_.is_forked()) return;
    const GilGivenUp gil;
    if (const auto send = send_.take()) send->request_stop();
  }

  py::object next() {
    const Signals signals;
    return use([&](StartedSend& send) {
      return to_python(without_gil([&] { return send.next(signals); }));
    });
  }
  py::list take() { return py::list(to_python(send_.get()->take())); }
  bool done() { return send_.get()->is_done(); }
  void wait() {
    const Signals signals;
    use([&](StartedSend& send) { without_gil([&] { send.wait(signals); }); });
  }
  py::object result() {
    return use([](StartedSend& send) { return to_python(send.turn()); });
  }
  void stop() {
    use([](StartedSend& send) { without_gil([&] { send.request_stop(); }); });
  }

 private:
  Owned<StartedSend> send_;
};

// An Assistant as Python has it: one that can be closed.
class PythonAssistant {
  static std::string run_tool(const House* house, const Held& function,
                              const std::string& args_json) {
    return call_python(house, "The function failed with an exception of its own.", [&] {
      return from_python<std::string>(function.get()(to_python(args_json)), {"Tool", "function"});
    });
  }

  // Runs `work` as a call that close() stops. FailedPrecondition after close().
  template <class Work>
  auto use(const Work& work) {
    House& house = *house_.get();
    return counted(house.calls,
                   [&](std::stop_source& stop) { return work(*house.assistant, stop); });
  }
  // Runs `work` without the GIL; its result as Python's.
  template <class Work>
  py::object ask(const Work& work) {
    return use([&](Assistant& assistant, std::stop_source&) {
      return to_python(without_gil([&] { return work(assistant); }));
    });
  }

 public:
  // `tools` are pairs of a FunctionDeclaration and a function from JSON text to JSON text.
  PythonAssistant(py::handle store, py::handle model, const py::dict& given, const py::list& tools,
                  py::handle now)
      : house_(std::make_shared<House>()) {
    House* const house = house_.get().get();
    AssistantOptions options;
    read_dict(options, given);
    for (const py::handle tool : tools) {
      const auto pair = py::reinterpret_borrow<py::tuple>(tool);
      options.tools.push_back(
          {.declaration = from_python<FunctionDeclaration>(pair[0], {"Tool", "declaration"}),
           .function = [house, function = Held(pair[1])](const std::string& args_json) {
             return run_tool(house, function, args_json);
           }});
    }
    if (const Held clock(py::reinterpret_borrow<py::object>(now)); clock) {
      options.now = [house, clock] {
        return call_python(house, "The clock failed with an exception of its own.", [&] {
          return from_python<Timestamp>(clock.get()(), {nullptr, "now"});
        });
      };
    }
    std::shared_ptr<Store> its_store = store_from_python(store, house);
    std::shared_ptr<Model> its_model = model_from_python(model, house);
    house->assistant = without_gil([&] {
      return std::make_shared<Assistant>(std::move(its_store), std::move(its_model),
                                         std::move(options));
    });
  }
  ~PythonAssistant() {
    if (house_.is_forked() || !Callback::here()) return;
    // Python let go of it inside a callback, which may be one of its own: that must not wait.
    std::thread([house = house_.take(),
                 call = std::make_unique<RunningCalls::Call>(free_calls(), true)]() mutable {
      house.reset();
      call.reset();
    }).detach();
  }
  PythonAssistant(const PythonAssistant&) = delete;
  PythonAssistant& operator=(const PythonAssistant&) = delete;

  void close() {
    if (house_.is_forked()) return;
    House& house = *house_.get();
    if (Callback::here_for(&house)) {
      throw Error(ErrorCode::kFailedPrecondition,
                  "An assistant cannot be closed by a function that it calls.");
    }
    without_gil([&] { house.close(); });
  }

  py::object create_session(const py::dict& given) {
    UserDetails user;
    read_dict(user, given);
    return ask([&](Assistant& assistant) { return assistant.create_session(user); });
  }
  py::object find_session(py::handle session_id) {
    const std::string id = text_argument(session_id, "session_id");
    return ask([&](Assistant& assistant) { return assistant.find_session(id); });
  }
  py::object session(py::handle session_id) {
    const std::string id = text_argument(session_id, "session_id");
    return ask([&](Assistant& assistant) { return assistant.session(id); });
  }
  py::object update_user(py::handle session_id, const py::dict& given) {
    const std::string id = text_argument(session_id, "session_id");
    UserDetailsUpdate update;
    read_dict(update, given);
    return ask([&](Assistant& assistant) { return assistant.update_user(id, update); });
  }
  py::list messages(py::handle session_id, const py::dict& given) {
    const std::string id = text_argument(session_id, "session_id");
    MessageQuery query;
    read_dict(query, given);
    return py::list(ask([&](Assistant& assistant) { return assistant.messages(id, query); }));
  }
  py::list history(py::handle session_id, py::handle limit) {
    const std::string id = text_argument(session_id, "session_id");
    const auto most = from_python<std::size_t>(limit, {nullptr, "limit"});
    return py::list(ask([&](Assistant& assistant) { return assistant.history(id, most); }));
  }
  py::list answered_turns(py::handle session_id, py::handle first_answer, py::handle last_answer) {
    const std::string id = text_argument(session_id, "session_id");
    const auto first = from_python<std::int64_t>(first_answer, {nullptr, "first_answer"});
    const auto last = from_python<std::int64_t>(last_answer, {nullptr, "last_answer"});
    return py::list(
        ask([&](Assistant& assistant) { return assistant.answered_turns(id, first, last); }));
  }
  py::object set_feedback(py::handle session_id, py::handle answer_id, py::handle feedback) {
    const std::string id = text_argument(session_id, "session_id");
    const auto answer = from_python<std::int64_t>(answer_id, {nullptr, "answer_id"});
    const auto value = from_python<Feedback>(feedback, {nullptr, "feedback"});
    return ask([&](Assistant& assistant) { return assistant.set_feedback(id, answer, value); });
  }
  py::object record_consent(py::handle session_id, py::handle version, py::handle language,
                            py::handle text) {
    const std::string id = text_argument(session_id, "session_id");
    const std::string name = text_argument(version, "version");
    const std::string tongue = text_argument(language, "language");
    const std::string words = text_argument(text, "text");
    return ask(
        [&](Assistant& assistant) { return assistant.record_consent(id, name, tongue, words); });
  }
  py::list consents(py::handle session_id) {
    const std::string id = text_argument(session_id, "session_id");
    return py::list(ask([&](Assistant& assistant) { return assistant.consents(id); }));
  }
  py::list withdraw_consents(py::handle session_id) {
    const std::string id = text_argument(session_id, "session_id");
    return py::list(ask([&](Assistant& assistant) { return assistant.withdraw_consents(id); }));
  }
  py::object stop(py::handle session_id, py::handle idempotency_key) {
    const std::string id = text_argument(session_id, "session_id");
    const std::string key = text_argument(idempotency_key, "idempotency_key");
    return ask([&](Assistant& assistant) { return assistant.stop(id, key); });
  }
  py::object in_flight() {
    return ask([](Assistant& assistant) { return assistant.in_flight(); });
  }

  py::object send(py::handle session_id, py::handle text, const py::dict& given,
                  py::handle stop_token, py::handle on_text) {
    House* const house = house_.get().get();
    const std::string id = text_argument(session_id, "session_id");
    const std::string words = text_argument(text, "text");
    const std::stop_token users = token_argument(stop_token);
    const Held show(py::reinterpret_borrow<py::object>(on_text));
    SendOptions options;
    read_dict(options, given);
    const auto thread = std::make_shared<CallerThread>();
    options.executor = [thread](std::function<void()> task) { thread->post(std::move(task)); };
    std::exception_ptr thrown;
    if (show) {
      options.on_text = [house, &show, &thrown](std::string_view piece) {
        const Callback callback(house);
        if (!callback) return false;
        try {
          return !show.get()(to_python(piece)).is(py::bool_(false));
        } catch (const py::error_already_set&) {
          if (!thrown) thrown = std::current_exception();
          return false;
        }
      };
    }
    std::optional<Result<Turn>> result;
    const Signals signals;
    return use([&](Assistant& assistant, std::stop_source& stop) {
      without_gil([&] {
        options.stop_token = stop.get_token();
        const std::stop_callback on_user_stop(users, [&stop] { stop.request_stop(); });
        assistant.start_send(id, words, std::move(options),
                             [&result](Result<Turn> done) { result.emplace(std::move(done)); });
        thread->run_until(
            signals, [&result] { return result.has_value(); },
            [&thrown, &stop](std::exception_ptr exit) {
              if (!thrown) thrown = std::move(exit);
              stop.request_stop();
            });
      });
      if (thrown) std::rethrow_exception(thrown);
      return to_python(std::move(*result).value());
    });
  }

  PythonSend start(py::handle session_id, py::handle text, const py::dict& given,
                   py::handle stop_token, bool streaming, py::handle on_event) {
    const std::string id = text_argument(session_id, "session_id");
    const std::string words = text_argument(text, "text");
    SendOptions options;
    read_dict(options, given);
    const auto send = std::make_shared<StartedSend>(
        Held(py::reinterpret_borrow<py::object>(on_event)), token_argument(stop_token));
    if (streaming) options.on_text = [send](std::string_view piece) { return send->arrive(piece); };
    options.stop_token = send->token();
    return use([&](Assistant& assistant, std::stop_source&) {
      without_gil([&] {
        assistant.start_send(id, words, std::move(options),
                             [send](Result<Turn> result) { send->end(std::move(result)); });
      });
      return PythonSend(send);
    });
  }

 private:
  Owned<House> house_;
};

// What an option is when it is not given: for the tests that compare the package with the library.
py::dict defaults() {
  py::dict all;
  const auto add = [&all]<class T>(const T& value) {
    all[Fields<T>::kName] = fields_to_dict(value);
  };
  add(AssistantOptions{});
  add(SendOptions{});
  add(GeminiOptions{});
  add(SqliteStoreOptions{});
  add(MessageQuery{});
  add(GenerationConfig{});
  add(Timeouts{});
  add(RetryOptions{});
  add(BreakerOptions{});
  add(ModelCapabilities{});
  add(UserDetails{});
  add(UserDetailsUpdate{});
  add(Usage{});
  add(Part{});
  add(Content{});
  add(FunctionCall{});
  add(FunctionResponse{});
  add(GenerateRequest{});
  add(ModelAnswer{});
  add(ErrorDetails{});
  return all;
}

}  // namespace

void bind_assistant(py::module_& module) {
  py::class_<PythonSend>(module, "Send")
      .def("next", &PythonSend::next)
      .def("take", &PythonSend::take)
      .def("done", &PythonSend::done)
      .def("wait", &PythonSend::wait)
      .def("result", &PythonSend::result)
      .def("stop", &PythonSend::stop);
  py::class_<PythonAssistant>(module, "NativeAssistant")
      .def(py::init<py::handle, py::handle, const py::dict&, const py::list&, py::handle>())
      .def("close", &PythonAssistant::close)
      .def("create_session", &PythonAssistant::create_session)
      .def("find_session", &PythonAssistant::find_session)
      .def("session", &PythonAssistant::session)
      .def("update_user", &PythonAssistant::update_user)
      .def("messages", &PythonAssistant::messages)
      .def("history", &PythonAssistant::history)
      .def("answered_turns", &PythonAssistant::answered_turns)
      .def("set_feedback", &PythonAssistant::set_feedback)
      .def("record_consent", &PythonAssistant::record_consent)
      .def("consents", &PythonAssistant::consents)
      .def("withdraw_consents", &PythonAssistant::withdraw_consents)
      .def("stop", &PythonAssistant::stop)
      .def("in_flight", &PythonAssistant::in_flight)
      .def("send", &PythonAssistant::send)
      .def("start", &PythonAssistant::start);
  module.def("defaults", &defaults);
}

}  // namespace twinchat::python
