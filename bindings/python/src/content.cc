#include "twinchat/content.h"

#include "bind.h"
#include "convert.h"
#include "fields.h"

namespace twinchat::python {

void bind_content(py::module_& module) {
  const py::module_ values = py::module_::import("twinchat._values");
  register_enum<Role>(values);
  register_enum<FinishReason>(values);
  register_class<FunctionCall>(values);
  register_class<FunctionResponse>(values);
  register_class<Part>(values);
  register_class<Content>(values);
  register_class<Usage>(values);
  module.def("visible_text", [](py::handle content) {
    return to_python(visible_text(from_python<Content>(content, {"visible_text", "content"})));
  });
  module.def("finish_reason_from", [](py::handle raw) {
    return to_python(
        finish_reason_from(from_python<std::string>(raw, {"finish_reason_from", "raw"})));
  });
}

}  // namespace twinchat::python
