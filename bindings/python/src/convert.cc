#include "convert.h"

#include <datetime.h>

#include <cmath>

namespace twinchat::python {
namespace {

// Python's own tables for datetime, in this file alone.
void need_datetime() {
  if (PyDateTimeAPI == nullptr) PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) throw py::error_already_set();
}

py::object stolen(PyObject* made) {
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

std::string text_of(Place place) {
  return (place.owner != nullptr ? std::string(place.owner) + "." : std::string()) + place.name;
}

py::object keep() {
  return py::module_::import("twinchat._values").attr("KEEP");
}

}  // namespace

void wrong_type(Place place, const char* expected, py::handle got) {
  PyErr_Format(PyExc_TypeError, "%s: expected %s, not %s", text_of(place).c_str(), expected,
               Py_TYPE(got.ptr())->tp_name);
  throw py::error_already_set();
}

void out_of_range(Place place) {
  throw Error(ErrorCode::kInvalidArgument, text_of(place) + " is out of range.");
}

py::object string_to_python(std::string_view text) {
  return stolen(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

std::string string_from_python(py::handle from, Place place) {
  if (!PyUnicode_Check(from.ptr())) wrong_type(place, "str", from);
  Py_ssize_t size = 0;
  if (const char* text = PyUnicode_AsUTF8AndSize(from.ptr(), &size)) {
    return std::string(text, static_cast<std::size_t>(size));
  }
  PyErr_Clear();
  return stolen(PyUnicode_AsEncodedString(from.ptr(), "utf-8", "surrogatepass"))
      .cast<std::string>();
}

std::int64_t integer_from_python(py::handle from, Place place) {
  if (!PyLong_Check(from.ptr())) wrong_type(place, "int", from);
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(from.ptr(), &overflow);
  if (overflow != 0) out_of_range(place);
  return value;
}

double double_from_python(py::handle from, Place place) {
  if (!PyFloat_Check(from.ptr()) && !PyLong_Check(from.ptr())) wrong_type(place, "float", from);
  const double value = PyFloat_AsDouble(from.ptr());
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  return value;
}

bool bool_from_python(py::handle from, Place place) {
  if (!PyBool_Check(from.ptr())) wrong_type(place, "bool", from);
  return from.ptr() == Py_True;
}

py::object duration_to_python(std::chrono::microseconds duration) {
  need_datetime();
  const auto days = std::chrono::floor<std::chrono::days>(duration);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration - days);
  return stolen(PyDelta_FromDSU(static_cast<int>(days.count()), static_cast<int>(seconds.count()),
                                static_cast<int>((duration - days - seconds).count())));
}

std::chrono::milliseconds duration_from_python(py::handle from, Place place) {
  using std::chrono::milliseconds;
  need_datetime();
  if (PyDelta_Check(from.ptr())) {
    PyObject* delta = from.ptr();
    return std::chrono::ceil<milliseconds>(
        std::chrono::days(PyDateTime_DELTA_GET_DAYS(delta)) +
        std::chrono::seconds(PyDateTime_DELTA_GET_SECONDS(delta)) +
        std::chrono::microseconds(PyDateTime_DELTA_GET_MICROSECONDS(delta)));
  }
  if (!PyFloat_Check(from.ptr()) && !PyLong_Check(from.ptr())) {
    wrong_type(place, "timedelta or seconds", from);
  }
  const double seconds = double_from_python(from, place);
  // Longer than a century is a mistake, and more than the arithmetic of deadlines can bear.
  if (!(std::abs(seconds) < 4e9)) out_of_range(place);
  return milliseconds(std::llround(std::ceil(seconds * 1000)));
}

py::object timestamp_to_python(Timestamp time) {
  need_datetime();
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return stolen(PyDateTimeAPI->DateTime_FromDateAndTime(
      static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
      static_cast<int>(static_cast<unsigned>(date.day())), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
      static_cast<int>(clock.subseconds().count()), PyDateTime_TimeZone_UTC,
      PyDateTimeAPI->DateTimeType));
}

Timestamp timestamp_from_python(py::handle from, Place place) {
  need_datetime();
  if (!PyDateTime_Check(from.ptr())) wrong_type(place, "datetime", from);
  if (from.attr("utcoffset")().is_none()) {
    throw Error(ErrorCode::kInvalidArgument, text_of(place) + " needs a time zone.");
  }
  const py::object utc =
      from.attr("astimezone")(py::reinterpret_borrow<py::object>(PyDateTime_TimeZone_UTC));
  PyObject* time = utc.ptr();
  const std::chrono::year_month_day date(
      std::chrono::year(PyDateTime_GET_YEAR(time)),
      std::chrono::month(static_cast<unsigned>(PyDateTime_GET_MONTH(time))),
      std::chrono::day(static_cast<unsigned>(PyDateTime_GET_DAY(time))));
  return std::chrono::sys_days(date) + std::chrono::hours(PyDateTime_DATE_GET_HOUR(time)) +
         std::chrono::minutes(PyDateTime_DATE_GET_MINUTE(time)) +
         std::chrono::seconds(PyDateTime_DATE_GET_SECOND(time)) +
         std::chrono::microseconds(PyDateTime_DATE_GET_MICROSECOND(time));
}

py::object update_to_python(const FieldUpdate& update) {
  return update.given() ? to_python(update.value()) : keep();
}

FieldUpdate update_from_python(py::handle from, Place place) {
  if (from.is(keep())) return {};
  return FieldUpdate(from_python<std::optional<std::string>>(from, place));
}

void check_fields(py::handle python, const char* name, const std::vector<const char*>& fields) {
  const py::dict declared = python.attr("__dataclass_fields__");
  bool same = declared.size() == fields.size();
  for (const char* field : fields) same = same && declared.contains(field);
  if (!same) throw py::import_error(std::string("twinchat: the fields of ") + name + " differ");
}

void check_size(py::handle python, const char* name, int size) {
  if (py::len(python) != static_cast<std::size_t>(size)) {
    throw py::import_error(std::string("twinchat: the members of ") + name + " differ");
  }
}

}  // namespace twinchat::python
