#include "store.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bind.h"
#include "callback.h"
#include "convert.h"
#include "fields.h"

namespace twinchat::python {
namespace {

// A store that is written in Python.
//
// Thread safety: as every Store, as far as the Python class is.
class PythonStore final : public Store {
 public:
  PythonStore(Held object, const void* owner) : object_(std::move(object)), owner_(owner) {}

  Session create_session(std::string_view session_id, const UserDetails& user,
                         Timestamp now) override {
    return call<Session>("create_session", session_id, user, now);
  }
  std::optional<Session> find_session(std::string_view session_id) override {
    return call<std::optional<Session>>("find_session", session_id);
  }
  Session update_user(std::string_view session_id, const UserDetailsUpdate& update,
                      Timestamp now) override {
    return call<Session>("update_user", session_id, update, now);
  }
  std::vector<Message> messages(std::string_view session_id, const MessageQuery& query) override {
    return call<std::vector<Message>>("messages", session_id, query);
  }
  std::vector<Turn> turns(std::string_view session_id, std::size_t limit) override {
    return call<std::vector<Turn>>("turns", session_id, limit);
  }
  BegunTurn begin_turn(const NewTurn& turn) override { return call<BegunTurn>("begin_turn", turn); }
  Turn finish_turn(const FinishedTurn& turn) override { return call<Turn>("finish_turn", turn); }
  std::vector<PastTurn> past_turns(std::string_view session_id, std::int64_t before_turn,
                                   std::size_t limit) override {
    return call<std::vector<PastTurn>>("past_turns", session_id, before_turn, limit);
  }
  std::vector<Turn> answered_turns(std::string_view session_id, std::int64_t first_answer,
                                   std::int64_t last_answer) override {
    return call<std::vector<Turn>>("answered_turns", session_id, first_answer, last_answer);
  }
  Turn set_feedback(std::string_view session_id, std::int64_t answer_id, Feedback feedback,
                    Timestamp now) override {
    return call<Turn>("set_feedback", session_id, answer_id, feedback, now);
  }
  Consent record_consent(const NewConsent& consent) override {
    return call<Consent>("record_consent", consent);
  }
  std::vector<Consent> consents(std::string_view session_id) override {
    return call<std::vector<Consent>>("consents", session_id);
  }
  std::vector<Consent> withdraw_consents(std::string_view session_id, Timestamp now) override {
    return call<std::vector<Consent>>("withdraw_consents", session_id, now);
  }
  void check() override { call<void>("check"); }

 private:
  template <class Result, class... Arguments>
  Result call(const char* method, const Arguments&... arguments) {
    return call_python(owner_, "The store failed with an exception of its own.", [&]() -> Result {
      const py::object result = object_.get().attr(method)(to_python(arguments)...);
      if constexpr (!std::is_void_v<Result>) return from_python<Result>(result, {"Store", method});
    });
  }

  const Held object_;
  const void* const owner_;
};

// Calls a store of the library's without the GIL; its result as Python's.
template <class Call>
py::object ask(const NativeStore& self, const Call& call) {
  const std::shared_ptr<Store>& store = self.store.get();
  return counted(free_calls(), [&](std::stop_source&) {
    return to_python(without_gil([&] { return call(*store); }));
  });
}

template <class T>
T argument(py::handle from, const char* name) {
  return from_python<T>(from, {nullptr, name});
}

// What `open` gives, called without the GIL.
template <class Open>
NativeStore opened(const Open& open) {
  return counted(free_calls(),
                 [&](std::stop_source&) { return NativeStore{Owned<Store>(without_gil(open))}; });
}

}  // namespace

std::shared_ptr<Store> store_from_python(py::handle object, const void* owner) {
  if (py::isinstance<NativeStore>(object)) return object.cast<NativeStore&>().store.get();
  if (!py::isinstance(object, py::module_::import("twinchat._store").attr("Store"))) {
    wrong_type({nullptr, "store"}, "Store", object);
  }
  return std::make_shared<PythonStore>(Held(py::reinterpret_borrow<py::object>(object)), owner);
}

void bind_store(py::module_& module) {
  const py::module_ values = py::module_::import("twinchat._values");
  register_enum<BegunTurn::Kind>(values);
  register_class<MessageQuery>(values);
  register_class<NewTurn>(values);
  register_class<BegunTurn>(values);
  register_class<FinishedTurn>(values);
  register_class<PastTurn>(values);
  register_class<NewConsent>(values);

  py::class_<NativeStore>(module, "NativeStore")
      .def("create_session",
           [](const NativeStore& self, py::handle session_id, py::handle user, py::handle now) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto details = argument<UserDetails>(user, "user");
             const auto time = argument<Timestamp>(now, "now");
             return ask(self,
                        [&](Store& store) { return store.create_session(id, details, time); });
           })
      .def("find_session",
           [](const NativeStore& self, py::handle session_id) {
             const auto id = argument<std::string>(session_id, "session_id");
             return ask(self, [&](Store& store) { return store.find_session(id); });
           })
      .def("update_user",
           [](const NativeStore& self, py::handle session_id, py::handle update, py::handle now) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto change = argument<UserDetailsUpdate>(update, "update");
             const auto time = argument<Timestamp>(now, "now");
             return ask(self, [&](Store& store) { return store.update_user(id, change, time); });
           })
      .def("messages",
           [](const NativeStore& self, py::handle session_id, py::handle query) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto which = argument<MessageQuery>(query, "query");
             return py::list(ask(self, [&](Store& store) { return store.messages(id, which); }));
           })
      .def("turns",
           [](const NativeStore& self, py::handle session_id, py::handle limit) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto most = argument<std::size_t>(limit, "limit");
             return py::list(ask(self, [&](Store& store) { return store.turns(id, most); }));
           })
      .def("begin_turn",
           [](const NativeStore& self, py::handle turn) {
             const auto begun = argument<NewTurn>(turn, "turn");
             return ask(self, [&](Store& store) { return store.begin_turn(begun); });
           })
      .def("finish_turn",
           [](const NativeStore& self, py::handle turn) {
             const auto finished = argument<FinishedTurn>(turn, "turn");
             return ask(self, [&](Store& store) { return store.finish_turn(finished); });
           })
      .def("past_turns",
           [](const NativeStore& self, py::handle session_id, py::handle before_turn,
              py::handle limit) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto before = argument<std::int64_t>(before_turn, "before_turn");
             const auto most = argument<std::size_t>(limit, "limit");
             return py::list(
                 ask(self, [&](Store& store) { return store.past_turns(id, before, most); }));
           })
      .def("answered_turns",
           [](const NativeStore& self, py::handle session_id, py::handle first_answer,
              py::handle last_answer) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto first = argument<std::int64_t>(first_answer, "first_answer");
             const auto last = argument<std::int64_t>(last_answer, "last_answer");
             return py::list(
                 ask(self, [&](Store& store) { return store.answered_turns(id, first, last); }));
           })
      .def("set_feedback",
           [](const NativeStore& self, py::handle session_id, py::handle answer_id,
              py::handle feedback, py::handle now) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto answer = argument<std::int64_t>(answer_id, "answer_id");
             const auto value = argument<Feedback>(feedback, "feedback");
             const auto time = argument<Timestamp>(now, "now");
             return ask(self,
                        [&](Store& store) { return store.set_feedback(id, answer, value, time); });
           })
      .def("record_consent",
           [](const NativeStore& self, py::handle consent) {
             const auto given = argument<NewConsent>(consent, "consent");
             return ask(self, [&](Store& store) { return store.record_consent(given); });
           })
      .def("consents",
           [](const NativeStore& self, py::handle session_id) {
             const auto id = argument<std::string>(session_id, "session_id");
             return py::list(ask(self, [&](Store& store) { return store.consents(id); }));
           })
      .def("withdraw_consents",
           [](const NativeStore& self, py::handle session_id, py::handle now) {
             const auto id = argument<std::string>(session_id, "session_id");
             const auto time = argument<Timestamp>(now, "now");
             return py::list(
                 ask(self, [&](Store& store) { return store.withdraw_consents(id, time); }));
           })
      .def("check", [](const NativeStore& self) {
        ask(self, [](Store& store) {
          store.check();
          return std::optional<bool>();
        });
      });
  module.def("open_store", [](py::handle url) {
    const auto name = argument<std::string>(url, "url");
    return opened([&] { return open_store(name); });
  });
}

void bind_sqlite_store(py::module_& module) {
  module.def("open_sqlite_store",
             [](py::handle file, const py::dict& given, py::handle on_warning) {
               const std::filesystem::path path(
                   py::module_::import("os").attr("fsencode")(file).cast<std::string>());
               SqliteStoreOptions options;
               read_dict(options, given);
               options.on_warning = notifier<const std::string&>(on_warning);
               return opened([&] { return open_sqlite_store(path, options); });
             });
}

void bind_memory_store(py::module_& module) {
  module.def("make_memory_store", [] { return opened(&make_memory_store); });
}

}  // namespace twinchat::python
