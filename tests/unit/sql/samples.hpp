#pragma once

#include <gtest/gtest.h>

#include <span>

#include "tests/unit/sql/describe.hpp"

namespace crossfade::sql {

struct sample {
    const char* text;
    const char* known;  // as describe() has it
};

inline void expect_all(std::span<const sample> samples) {
    for (const auto& [text, known] : samples) EXPECT_EQ(describe(text), known) << text;
}

}  // namespace crossfade::sql
