#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "lib/sql/shape.hpp"
#include "tests/unit/sql/describe.hpp"

namespace crossfade::sql {

struct sample {
    const char* text;
    const char* known;  // as describe() has it
};

inline void expect_all(std::span<const sample> samples) {
    for (const auto& [text, known] : samples) {
        EXPECT_EQ(describe(text), known) << text;
        // Whatever its numbers are.
        std::string scratch;
        std::string other{text};
        const auto shape = shape_of(text, scratch);
        for (std::size_t i = 0; i < other.size(); ++i)
            if (other[i] != shape[i]) other[i] = '7';
        EXPECT_EQ(describe(other), known) << other;
    }
}

}  // namespace crossfade::sql
