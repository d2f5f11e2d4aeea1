#include <string>

#include "conf/config_file.h"
#include "conf/setting_info.h"
#include "conf/settings_doc.h"

#include "tests/support/generated_page.h"

using namespace warren;

namespace {

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
  return count;
}

}  // namespace

TEST_CASE("docs/settings.md says what the tables say") {
  CheckGeneratedPage("settings.md", SettingsMarkdown());
}

TEST_CASE("docs/../conf/warren.conf says what the table says") {
  CheckGeneratedPage("../conf/warren.conf", DefaultConfigText());
}

TEST_CASE("the shipped file names every setting once, with its default") {
  const std::string text = DefaultConfigText();
  for (const SettingInfo& info : SettingTable()) {
    if (info.type == SettingType::kIgnored) continue;
    CAPTURE(info.name);
    CHECK(Count(text, "\n#" + std::string(info.name) + " ") == 1);
  }
}

TEST_CASE("the shipped file with its settings taken out of comments is read and changes nothing") {
  std::string text = DefaultConfigText();
  for (const SettingInfo& info : SettingTable()) {
    const size_t at = text.find("\n#" + std::string(info.name) + " ");
    if (at != std::string::npos) text.erase(at + 1, 1);
  }
  LoadedSettings loaded;
  const Status status = LoadConfigText(text, "warren.conf", loaded);
  CHECK(status.ok());
  CHECK(loaded.settings == Settings());
  CHECK(loaded.sources.size() > 20);
}

TEST_CASE("the page names every setting, those without effect included") {
  const std::string text = SettingsMarkdown();
  for (const SettingInfo& info : SettingTable()) {
    CAPTURE(info.name);
    CHECK(Count(text, "\n| `" + std::string(info.name) + "` |") == 1);
  }
}
