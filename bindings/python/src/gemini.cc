#include "twinchat/gemini.h"

#include <string>

#include "bind.h"
#include "callback.h"
#include "convert.h"
#include "fields.h"
#include "model.h"

namespace twinchat::python {

void bind_gemini(py::module_& module) {
  const py::module_ values = py::module_::import("twinchat._values");
  register_class<RetryOptions>(values);
  register_class<BreakerOptions>(values);
  register_class<SafetySetting>(values);
  register_class<ModelCapabilities>(values);
  module.def("make_gemini_model", [](const py::dict& given, py::handle bearer_token,
                                     py::handle on_warning, py::handle on_breaker) {
    GeminiOptions options;
    read_dict(options, given);
    options.on_warning = notifier<const std::string&>(on_warning);
    options.on_breaker = notifier<const std::string&, bool>(on_breaker);
    if (const Held source(py::reinterpret_borrow<py::object>(bearer_token)); source) {
      options.bearer_token = [source] {
        return call_python(nullptr, "The bearer token could not be had.", [&] {
          return from_python<std::string>(source.get()(), {nullptr, "bearer_token"});
        });
      };
    }
    return counted(free_calls(), [&](std::stop_source&) {
      return NativeModel{
          Owned<Model>(without_gil([&] { return make_gemini_model(std::move(options)); }))};
    });
  });
}

}  // namespace twinchat::python
