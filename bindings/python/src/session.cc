#include "twinchat/session.h"

#include "bind.h"
#include "convert.h"
#include "fields.h"

namespace twinchat::python {

void bind_session(py::module_& module) {
  const py::module_ values = py::module_::import("twinchat._values");
  register_enum<TurnStatus>(values);
  register_enum<Feedback>(values);
  register_class<UserDetails>(values);
  register_class<UserDetailsUpdate>(values);
  register_class<FieldProblem>(values);
  register_class<Session>(values);
  register_class<Message>(values);
  register_class<Turn>(values);
  register_class<Consent>(values);
  module.def("problems", [](py::handle update) {
    return py::list(
        to_python(problems(from_python<UserDetailsUpdate>(update, {"problems", "update"}))));
  });
}

}  // namespace twinchat::python
