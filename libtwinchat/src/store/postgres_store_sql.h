#pragma once

#include <string>
#include <vector>

namespace twinchat::postgres {

// All SQL of postgres_store.cc, for the test that looks whether it keeps to what all databases that
// speak PostgreSQL's protocol understand. See also schema_statements() and row_statements().
std::vector<std::string> store_statements();

}  // namespace twinchat::postgres
