#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace twinchat::testing {

// The versions of the schema of which there is a database. The one that no version was released
// with is left out.
inline const std::vector<int> kFixtureVersions = {0, 1, 2, 4, 5, 6, 7};

// Makes the file, in the place of another, as that version left it.
void load_fixture(int version, const std::filesystem::path& file);

// Every value of every row of what people wrote or were told, by table. What is derived (the search
// index), moves by itself (a turn that was left pending) or says which version it is, is left out.
std::map<std::string, std::vector<std::string>> contents(const std::filesystem::path& file);

}  // namespace twinchat::testing
