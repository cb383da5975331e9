#include "lib/settings/documents.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>

namespace crossfade::settings {
namespace {

// Notes where the newest document's content begins.
class beginning final : public YAML::EventHandler {
  public:
    int line() const { return line_; }

    void OnDocumentStart(const YAML::Mark& mark) override {
        line_ = mark.line + 1;
        open_ = true;
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { content(mark); }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { content(mark); }
    void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t, const std::string&) override {
        content(mark);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        content(mark);
    }
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {
        content(mark);
    }
    void OnMapEnd() override {}

  private:
    void content(const YAML::Mark& mark) {
        if (open_) line_ = mark.line + 1;
        open_ = false;
    }

    int line_ = 0;
    bool open_ = false;
};

}  // namespace

std::optional<int> second_document(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    beginning document;
    if (parser.HandleNextDocument(document) && parser.HandleNextDocument(document)) return document.line();
    return std::nullopt;
}

}  // namespace crossfade::settings
