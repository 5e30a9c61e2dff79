#include "model.h"

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "bind.h"
#include "callback.h"
#include "convert.h"
#include "fields.h"

namespace twinchat::python {
namespace {

using Seconds = std::chrono::duration<double>;

PyObject* call_options_class = nullptr;

// The on_text that a Python model is given: it may keep it, but not use it after its call.
//
// Thread safety: every function may be called from any thread.
class BorrowedOnText {
 public:
  explicit BorrowedOnText(std::function<bool(std::string_view)> on_text)
      : on_text_(std::move(on_text)) {}

  bool show(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return on_text_ && on_text_(text);
  }
  void take_back() {
    const std::lock_guard lock(mutex_);
    on_text_ = nullptr;
  }

 private:
  std::mutex mutex_;  // guards on_text_
  std::function<bool(std::string_view)> on_text_;
};

// A model that is written in Python.
//
// Thread safety: as every Model, as far as the Python class is.
class PythonModel final : public Model {
 public:
  PythonModel(Held object, const void* owner) : object_(std::move(object)), owner_(owner) {}
  ~PythonModel() override {
    const GilGivenUp gil;
    wait_for_started();
  }

  std::string name() const override {
    return call_python(owner_, kFailed, [&] {
      return from_python<std::string>(object_.get().attr("name")(), {"Model", "name"});
    });
  }

  ModelAnswer generate(const GenerateRequest& request, const CallOptions& options) override {
    const auto on_text = std::make_shared<BorrowedOnText>(options.on_text);
    struct TakeBack {
      BorrowedOnText& on_text;
      ~TakeBack() {
        const GilGivenUp gil;  // another thread may be in it
        on_text.take_back();
      }
    } const take_back{*on_text};
    return call_python(owner_, kFailed, [&] {
      py::dict given;
      if (options.on_text) {
        given["on_text"] = py::cpp_function([on_text](py::handle piece) {
          const auto text = from_python<std::string>(piece, {"on_text", "text"});
          return without_gil([&] { return on_text->show(text); });
        });
      }
      given["stop_token"] = py::cast(options.stop_token);
      if (options.deadline) {
        given["deadline"] = py::float_(Seconds(options.deadline->time_since_epoch()).count());
      }
      given["timeouts"] = to_python(options.timeouts);
      const py::handle make(call_options_class);
      return from_python<ModelAnswer>(
          object_.get().attr("generate")(to_python(request), make(**given)), {"Model", "generate"});
    });
  }

 private:
  static constexpr const char* kFailed = "The model failed with an exception of its own.";

  const Held object_;
  const void* const owner_;
};

// The end of a call that a thread waits for.
struct Awaited {
  std::mutex mutex;  // guards all below
  std::condition_variable changed;
  std::optional<Result<ModelAnswer>> answer;
  std::exception_ptr thrown;  // by on_text
};

py::object generate(const NativeModel& self, py::handle request, py::handle given) {
  const std::shared_ptr<Model>& model = self.model.get();
  const auto asked = from_python<GenerateRequest>(request, {nullptr, "request"});
  const int is_options = PyObject_IsInstance(given.ptr(), call_options_class);
  if (is_options < 0) throw py::error_already_set();
  if (is_options == 0) wrong_type({nullptr, "options"}, "CallOptions", given);

  const auto awaited = std::make_shared<Awaited>();
  CallOptions options;
  options.timeouts =
      from_python<std::optional<Timeouts>>(given.attr("timeouts"), {"CallOptions", "timeouts"});
  const auto deadline =
      from_python<std::optional<double>>(given.attr("deadline"), {"CallOptions", "deadline"});
  if (deadline) {
    options.deadline.emplace(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(Seconds(*deadline)));
  }
  const Held on_text(given.attr("on_text"));
  if (on_text) {
    options.on_text = [on_text, awaited](std::string_view text) {
      const Callback callback;
      if (!callback) return false;
      try {
        return !on_text.get()(to_python(text)).is(py::bool_(false));
      } catch (const py::error_already_set&) {
        const std::lock_guard lock(awaited->mutex);
        awaited->thrown = std::current_exception();
        return false;
      }
    };
  }
  std::stop_token users;
  if (const py::object token = given.attr("stop_token"); !token.is_none()) {
    users = token.cast<std::stop_token>();
  }

  const Signals signals;
  return counted(free_calls(), [&](std::stop_source& stop) {
    std::exception_ptr thrown;
    without_gil([&] {
      const std::stop_callback on_user_stop(users, [&stop] { stop.request_stop(); });
      options.stop_token = stop.get_token();
      model->start(asked, std::move(options), [awaited](Result<ModelAnswer> answer) {
        const std::lock_guard lock(awaited->mutex);
        awaited->answer.emplace(std::move(answer));
        awaited->changed.notify_all();
      });
      const auto answered = [&] { return awaited->answer.has_value(); };
      std::unique_lock lock(awaited->mutex);
      try {
        signals.wait(awaited->changed, lock, answered);
      } catch (...) {
        thrown = std::current_exception();
        lock.unlock();
        stop.request_stop();
        lock.lock();
        awaited->changed.wait(lock, answered);
      }
      // Not for the model's thread to let go of: that may be after Python's end.
      auto of_on_text = std::exchange(awaited->thrown, nullptr);
      if (!thrown) thrown = std::move(of_on_text);
    });
    if (thrown) std::rethrow_exception(thrown);
    return to_python(std::move(*awaited->answer).value());
  });
}

}  // namespace

std::shared_ptr<Model> model_from_python(py::handle object, const void* owner) {
  if (py::isinstance<NativeModel>(object)) return object.cast<NativeModel&>().model.get();
  if (!py::isinstance(object, py::module_::import("twinchat._model").attr("Model"))) {
    wrong_type({nullptr, "model"}, "Model", object);
  }
  return std::make_shared<PythonModel>(Held(py::reinterpret_borrow<py::object>(object)), owner);
}

void bind_model(py::module_& module) {
  const py::module_ values = py::module_::import("twinchat._values");
  register_class<GenerationConfig>(values);
  register_class<FunctionDeclaration>(values);
  register_class<GenerateRequest>(values);
  register_class<Timeouts>(values);
  register_class<ModelAnswer>(values);
  call_options_class = py::object(values.attr("CallOptions")).release().ptr();

  py::class_<std::stop_token>(module, "StopToken", "Tells a call whether it is to stop.")
      .def("stop_requested", &std::stop_token::stop_requested, "Whether somebody asked for it.");
  py::class_<std::stop_source>(module, "StopSource",
                               "Stops what was given its token, from any thread.")
      .def(py::init<>())
      .def("get_token", &std::stop_source::get_token, "The token to give to send() and others.")
      .def("request_stop", &std::stop_source::request_stop,
           py::call_guard<py::gil_scoped_release>(),
           "Stops it. False when that had been asked for before.")
      .def("stop_requested", &std::stop_source::stop_requested,
           "Whether request_stop() was called.");

  py::class_<NativeModel>(module, "NativeModel")
      .def("name", [](const NativeModel& self) { return to_python(self.model.get()->name()); })
      .def("generate", &generate);
}

}  // namespace twinchat::python
