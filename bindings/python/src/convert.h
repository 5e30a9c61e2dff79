#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "twinchat/error.h"
#include "twinchat/session.h"

// The library's values as Python's and back. A struct is described once, by a Fields<T> in
// fields.h; its Python side is the dataclass of that name. Everything in here needs the GIL, and
// throws py::error_already_set (a TypeError) or Error (kInvalidArgument) for what does not fit.
namespace twinchat::python {

namespace py = pybind11;

template <class Owner, class Member>
struct Field {
  const char* name;
  Member Owner::*member;
};
template <class Owner, class Member>
Field(const char*, Member Owner::*) -> Field<Owner, Member>;

// Specialised with kName, the class's name, and kList, a tuple of Field.
template <class T>
struct Fields;
template <class T>
concept Described = requires {
  Fields<T>::kList;
};

// Specialised with kName, kFirst, kLast, and name(), an exhaustive switch.
template <class T>
struct Enumerators;

// The Python class of a described struct or an enumeration, set once while the module is imported.
template <class T>
inline PyObject* python_class = nullptr;

// Where a value is, for messages: an argument, or a field of a class.
struct Place {
  const char* owner = nullptr;  // may be null
  const char* name = "";
};

// Raises TypeError: "Message.text: expected str, not int".
[[noreturn]] void wrong_type(Place place, const char* expected, py::handle got);
[[noreturn]] void out_of_range(Place place);

py::object string_to_python(std::string_view text);
// Lone surrogates become bytes that are not UTF-8, which the library refuses in its own words.
std::string string_from_python(py::handle from, Place place);
std::int64_t integer_from_python(py::handle from, Place place);
double double_from_python(py::handle from, Place place);
bool bool_from_python(py::handle from, Place place);
// A timedelta.
py::object duration_to_python(std::chrono::microseconds duration);
// From a timedelta or seconds; what is shorter than a millisecond is rounded up.
std::chrono::milliseconds duration_from_python(py::handle from, Place place);
// An aware datetime in UTC.
py::object timestamp_to_python(Timestamp time);
// From an aware datetime of any zone.
Timestamp timestamp_from_python(py::handle from, Place place);
// An instance of the exception's class, and back.
py::object error_to_python(const Error& error);
Error error_from_python(py::handle from, Place place);
// KEEP, None or a text.
py::object update_to_python(const FieldUpdate& update);
FieldUpdate update_from_python(py::handle from, Place place);

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

template <Described T>
py::dict fields_to_dict(const T& value);

template <class T>
py::object to_python(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return py::bool_(value);
  } else if constexpr (std::is_enum_v<T>) {
    return py::reinterpret_borrow<py::object>(python_class<T>).attr(Enumerators<T>::name(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    return py::cast(value);
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return string_to_python(value);
  } else if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
    return duration_to_python(value);
  } else if constexpr (std::is_same_v<T, Timestamp>) {
    return timestamp_to_python(value);
  } else if constexpr (std::is_same_v<T, FieldUpdate>) {
    return update_to_python(value);
  } else if constexpr (std::is_same_v<T, Error>) {
    return error_to_python(value);
  } else if constexpr (kIsOptional<T>) {
    return value ? to_python(*value) : py::none();
  } else if constexpr (kIsVector<T>) {
    py::tuple all(value.size());
    for (std::size_t i = 0; i < value.size(); ++i) all[i] = to_python(value[i]);
    return all;
  } else {
    return py::reinterpret_borrow<py::object>(python_class<T>)(**fields_to_dict(value));
  }
}

// The fields of a described struct, by name.
template <Described T>
py::dict fields_to_dict(const T& value) {
  py::dict fields;
  std::apply(
      [&](const auto&... field) { ((fields[field.name] = to_python(value.*(field.member))), ...); },
      Fields<T>::kList);
  return fields;
}

template <class T>
T from_python(py::handle from, Place place);

// Reads the fields of `value` that `get`, called with a name, has an object for.
template <Described T, class Get>
void read_fields(T& value, const Get& get) {
  const auto read = [&](const auto& field) {
    const py::object given = get(field.name);
    if (!given) return;
    auto& member = value.*(field.member);
    member = from_python<std::remove_reference_t<decltype(member)>>(
        given, Place{Fields<T>::kName, field.name});
  };
  std::apply([&](const auto&... field) { (read(field), ...); }, Fields<T>::kList);
}

template <class T>
T from_python(py::handle from, Place place) {
  if constexpr (std::is_same_v<T, bool>) {
    return bool_from_python(from, place);
  } else if constexpr (std::is_enum_v<T>) {
    for (auto each = Enumerators<T>::kFirst;; each = static_cast<T>(static_cast<int>(each) + 1)) {
      if (to_python(each).is(from)) return each;
      if (each == Enumerators<T>::kLast) wrong_type(place, Enumerators<T>::kName, from);
    }
  } else if constexpr (std::is_integral_v<T>) {
    const std::int64_t value = integer_from_python(from, place);
    if (!std::in_range<T>(value)) out_of_range(place);
    return static_cast<T>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return double_from_python(from, place);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return string_from_python(from, place);
  } else if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
    return duration_from_python(from, place);
  } else if constexpr (std::is_same_v<T, Timestamp>) {
    return timestamp_from_python(from, place);
  } else if constexpr (std::is_same_v<T, FieldUpdate>) {
    return update_from_python(from, place);
  } else if constexpr (std::is_same_v<T, Error>) {
    return error_from_python(from, place);
  } else if constexpr (kIsOptional<T>) {
    if (from.is_none()) return std::nullopt;
    return from_python<typename T::value_type>(from, place);
  } else if constexpr (kIsVector<T>) {
    // A text is a sequence, too, and never what is meant.
    if (PyUnicode_Check(from.ptr()) || !PySequence_Check(from.ptr())) {
      wrong_type(place, "a sequence", from);
    }
    T all;
    for (const py::handle each : py::reinterpret_borrow<py::object>(from)) {
      all.push_back(from_python<typename T::value_type>(each, place));
    }
    return all;
  } else {
    const int is_one = PyObject_IsInstance(from.ptr(), python_class<T>);
    if (is_one < 0) throw py::error_already_set();
    if (is_one == 0) wrong_type(place, Fields<T>::kName, from);
    T value;
    read_fields(value, [&](const char* name) { return py::object(from.attr(name)); });
    return value;
  }
}

// Sets the fields of `value` that the dict `given` has.
template <Described T>
void read_dict(T& value, const py::dict& given) {
  read_fields(value, [&](const char* name) {
    return py::reinterpret_borrow<py::object>(PyDict_GetItemString(given.ptr(), name));
  });
}

// Connects a described struct with its dataclass in `module`: their fields have to be the same.
void check_fields(py::handle python, const char* name, const std::vector<const char*>& fields);
template <class T>
void register_class(const py::module_& module) {
  const py::object python = module.attr(Fields<T>::kName);
  check_fields(
      python, Fields<T>::kName,
      std::apply([](const auto&... field) { return std::vector<const char*>{field.name...}; },
                 Fields<T>::kList));
  python_class<T> = py::object(python).release().ptr();
}

// The same for an enumeration.
void check_size(py::handle python, const char* name, int size);
template <class T>
void register_enum(const py::module_& module) {
  const py::object python = module.attr(Enumerators<T>::kName);
  const int first = static_cast<int>(Enumerators<T>::kFirst);
  const int last = static_cast<int>(Enumerators<T>::kLast);
  for (int each = first; each <= last; ++each) {
    python.attr(Enumerators<T>::name(static_cast<T>(each)));
  }
  check_size(python, Enumerators<T>::kName, last - first + 1);
  python_class<T> = py::object(python).release().ptr();
}

}  // namespace twinchat::python
